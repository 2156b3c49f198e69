"""Checks an image against what every engine and registry relies on, and lists all that is wrong, not only the first.

Layers are read whole: digests, sizes and diff ids are computed, and every entry of every tar is looked at.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from isal import igzip, isal_zlib

from shipml.errors import ShipmlError, UntrustedInputError
from shipml.oci.digest import Digest
from shipml.oci.documents import (
    DOCUMENT_LIMIT_BYTES,
    Manifest,
    parse_document,
    parse_manifest,
)
from shipml.oci.image import Image, Layer
from shipml.oci.validate_entries import FileSystem

__all__ = ["LAYER_LIMIT", "validate"]

LAYER_LIMIT = 127
"""More layers no engine with overlay2 can mount."""

_COMPRESSIONS = {"tar+gzip": "gzip", "tar.gzip": "gzip", "v1.tar": "none", "diff.tar": "none"}
_PIECE_BYTES = 1 << 20


def validate(image: Image) -> list[str]:
    """Every broken invariant of an image as one sentence each; empty for a good image."""
    problems = []
    if Digest.of(image.manifest) != image.digest:
        problems.append(f"the manifest is said to have the digest {image.digest} and has {Digest.of(image.manifest)}")
    if len(image.manifest) > DOCUMENT_LIMIT_BYTES:
        problems.append(f"the manifest has {len(image.manifest)} bytes; registries take {DOCUMENT_LIMIT_BYTES}")
    try:
        manifest = parse_manifest(image.manifest, image.media_type)
        config = parse_document(image.config, "the config")
    except UntrustedInputError as error:
        return [*problems, error.message]
    problems += _manifest_problems(image, manifest)
    problems += _config_problems(config, image.layers)
    files = FileSystem()
    for number, layer in enumerate(image.layers):
        problems += [f"layer {number}: {problem}" for problem in _layer_problems(layer, files)]
    return problems


def _manifest_problems(image: Image, manifest: Manifest) -> Iterator[str]:
    if manifest.media_type != image.media_type:
        yield f"the manifest is of type {manifest.media_type}, said to be {image.media_type}"
    if manifest.config.digest != Digest.of(image.config):
        yield f"the manifest names the config {manifest.config.digest} and the config is {Digest.of(image.config)}"
    if manifest.config.size_bytes != len(image.config):
        yield f"the manifest gives the config {manifest.config.size_bytes} bytes and it has {len(image.config)}"
    if len(manifest.layers) != len(image.layers):
        yield f"the manifest has {len(manifest.layers)} layers and the image {len(image.layers)}"
    if not 1 <= len(manifest.layers) <= LAYER_LIMIT:
        yield f"the image has {len(manifest.layers)} layers; engines take 1 to {LAYER_LIMIT}"
    for number, (described, layer) in enumerate(zip(manifest.layers, image.layers, strict=False)):
        for field in ("digest", "size_bytes", "media_type", "annotations"):
            said, is_ = getattr(described, field), getattr(layer, field)
            if said != is_:
                yield f"layer {number}: the manifest says {field} {said}, not {is_}"


def _config_problems(config: dict[str, Any], layers: Sequence[Layer]) -> Iterator[str]:
    for name in ("architecture", "os"):
        if not config.get(name) or not isinstance(config[name], str):
            yield f"the config has no {name}"
    settings = config.get("config") if isinstance(config.get("config"), dict) else {}
    command = [*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ())] if settings else []
    if not command:
        yield "the config has neither Cmd nor Entrypoint"
    if not all(isinstance(word, str) for word in command):
        yield "the config's command is not a list of strings"
    rootfs = config.get("rootfs") if isinstance(config.get("rootfs"), dict) else {}
    if not rootfs or rootfs.get("type") != "layers":
        yield "the config's rootfs is not of the type layers"
    diff_ids = (rootfs or {}).get("diff_ids") or []
    if diff_ids != [str(layer.diff_id) for layer in layers]:
        yield f"the config names other diff ids ({len(diff_ids)}) than the layers have ({len(layers)})"
    history = config.get("history") or []
    full = [entry for entry in history if isinstance(entry, dict) and not entry.get("empty_layer")]
    if len(full) != len(diff_ids):
        yield f"the history has {len(full)} entries that are not empty, for {len(diff_ids)} diff ids"


def _layer_problems(layer: Layer, files: FileSystem) -> list[str]:
    compression = next((name for suffix, name in _COMPRESSIONS.items() if layer.media_type.endswith(suffix)), None)
    if compression is None:
        return [f"its media type {layer.media_type} cannot be checked"]
    problems: list[str] = []
    try:
        with layer.open() as raw:
            transported = _Counted(raw)
            with _inflated(transported, compression) as inside:
                tar = _Counted(inside)
                problems += _tar_problems(tar, files)
                tar.drain()
            transported.drain()
    except (OSError, EOFError, zlib.error, isal_zlib.error, ShipmlError) as error:  # type: ignore[misc]  # its stubs lack the base class
        return [*problems, f"it cannot be read: {error}"]
    if transported.digest != layer.digest:
        problems.append(f"it is said to have the digest {layer.digest} and has {transported.digest}")
    if transported.size_bytes != layer.size_bytes:
        problems.append(f"it is said to have {layer.size_bytes} bytes and has {transported.size_bytes}")
    if tar.digest != layer.diff_id:
        problems.append(f"it is said to have the diff id {layer.diff_id} and has {tar.digest}")
    return problems


def _tar_problems(stream: _Counted, files: FileSystem) -> list[str]:
    problems: list[str] = []
    layer = files.new_layer()
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE_BYTES) as archive:
            for entry in archive:
                problems += layer.add(entry)
                archive.members = []  # type: ignore[attr-defined]  # else tarfile keeps every header
    except (tarfile.TarError, ValueError, UnicodeError) as error:
        problems.append(f"it is not a complete tar: {error}")
    return problems


class _Counted(io.RawIOBase):
    """Reads a stream, and counts and hashes what went through."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hasher = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  (typeshed's buffer type is 3.12's)
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._hasher.update(data)
        self.size_bytes += len(data)
        return len(data)

    def drain(self) -> None:
        while self.read(_PIECE_BYTES):
            pass

    @property
    def digest(self) -> Digest:
        return Digest(self._hasher.hexdigest())


@contextmanager
def _inflated(stream: _Counted, compression: str) -> Iterator[Any]:
    if compression == "none":
        yield stream
    else:
        with igzip.IGzipFile(fileobj=stream, mode="rb") as inside:  # type: ignore[no-untyped-call]
            yield inside
