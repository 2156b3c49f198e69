"""Which files of its folder an image was built from, and which of them have changed since."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from shipml.oci.digest import Digest
from shipml.store.files import BlobStore

__all__ = ["changed_files", "keep_built_files"]

_FACT = "built-files"
_DIGITS = 40
_MOST_BYTES = 1 << 26
"""Larger files are compared by their size: nobody waits for gigabytes to be read before a run."""


def keep_built_files(store: BlobStore, folder: Path, image: Digest, files: Mapping[str, tuple[int, Digest]]) -> None:
    """Note what the image was built from.

    Args:
        store: where it is noted.
        folder: the project's.
        image: of the manifest.
        files: size in bytes and digest of each file, by its path relative to the folder.
    """
    # Undecodable names have no UTF-8 form, and prune takes 64 hex digits alone for a blob's digest.
    noted = {os.fsencode(path).hex(): [size_bytes, found.hex[:_DIGITS]] for path, (size_bytes, found) in files.items()}
    store.keep_fact(_FACT, _key(folder, image), noted)


def changed_files(store: BlobStore, folder: Path, image: Digest) -> tuple[str, ...]:
    """Paths of the files that were changed or removed in `folder` since the image was built from it; sorted."""
    noted = store.fact(_FACT, _key(folder, image))
    if not isinstance(noted, dict):
        return ()
    changed = []
    for name, (size_bytes, digest) in noted.items():
        path = os.fsdecode(bytes.fromhex(name))
        if not _is_same(folder / path, size_bytes, digest):
            changed.append(path)
    return tuple(sorted(changed))


def _is_same(path: Path, size_bytes: int, digest: str) -> bool:
    try:
        if path.stat().st_size != size_bytes:
            return False
        if size_bytes > _MOST_BYTES:
            return True
        with path.open("rb") as stream:
            return Digest.of_stream(stream).hex[:_DIGITS] == digest
    except OSError:
        return False


def _key(folder: Path, image: Digest) -> str:
    return f"{os.fsencode(folder.resolve()).hex()} {image}"
