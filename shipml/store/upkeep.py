"""What is in the store, whether it is whole, and how to make it smaller.

Blobs are told apart by their first bytes. What a tagged image needs (manifest, config, layers) is never removed; what
was not used for a while is seen by its modification time, which the store renews on use, to the day.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.errors import ShipmlError, TryAgainError
from shipml.folders import remove_tree, walk_files
from shipml.oci.digest import Digest
from shipml.oci.documents import DOCUMENT_LIMIT_BYTES, is_index, parse_document, parse_index, parse_manifest
from shipml.store.durable import sync_folder
from shipml.store.files import BlobStore
from shipml.store.remote import RemoteBlobs
from shipml.store.tree_files import TreeStore

__all__ = ["Bounded", "KindSize", "MissingBlob", "PruneReport", "StoreInfo", "bound", "info", "prune"]

DOWNLOADS_KEPT_SECONDS = 30 * 86_400
"""How long a plain prune keeps wheels and packages after their last use."""

_DOWNLOADS = frozenset(("wheels", "debian packages", "other"))
_HISTORY = frozenset(("absent-files-1", "built-files", "promotions", "secrets-1"))
"""Kinds of facts that nothing here could find out again: what registries had, and what a build saw in its folder. The
digests in them are of files, not of blobs."""
_MAGICS = ((b"PK\x03\x04", "wheels"), (b"!<arch>\n", "debian packages"), (b"\x1f\x8b", "layers"), (b"{", "documents"))
_HEX_64 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class KindSize:
    """How much there is of one kind of thing."""

    kind: str
    """wheels, debian packages, layers, documents, other (all blobs); facts, trees, work in progress."""
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MissingBlob:
    """A blob that a tagged image needs and that is not here."""

    reference: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What is in the store."""

    home: Path
    kinds: tuple[KindSize, ...]
    """Without those of which there is nothing."""
    image_count: int
    """Tagged references."""
    needed_bytes: int
    """Of the blobs that tagged images need, each counted once."""
    missing: tuple[MissingBlob, ...]
    damaged: tuple[Digest, ...]
    """Blobs whose content was not that of their digest; only looked for when verified, and then removed."""
    changed: tuple[str, ...]
    """Files that are not what was unpacked; only looked for when verified, and their tree is then removed."""
    verified: bool

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return sum(kind.size_bytes for kind in self.kinds)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing or, where verified, damaged or changed."""
        return not (self.missing or self.damaged or self.changed)

    def to_json(self) -> dict[str, Any]:
        """As `shipml cache info --json` prints it."""
        return {
            "home": str(self.home),
            "kinds": [{"kind": kind.kind, "count": kind.count, "size_bytes": kind.size_bytes} for kind in self.kinds],
            "images": self.image_count,
            "total_bytes": self.total_bytes,
            "needed_bytes": self.needed_bytes,
            "missing": [{"reference": blob.reference, "digest": str(blob.digest)} for blob in self.missing],
            "damaged": [str(digest) for digest in self.damaged],
            "changed": list(self.changed),
            "verified": self.verified,
            "whole": self.is_whole,
        }


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a prune removed, or would have."""

    removed: tuple[KindSize, ...]
    dry_run: bool

    @property
    def freed_bytes(self) -> int:
        """Of all that was removed."""
        return sum(kind.size_bytes for kind in self.removed)

    def to_json(self) -> dict[str, Any]:
        """As `shipml cache prune --json` prints it."""
        return {
            "removed": [
                {"kind": kind.kind, "count": kind.count, "size_bytes": kind.size_bytes} for kind in self.removed
            ],
            "freed_bytes": self.freed_bytes,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True, slots=True)
class _Thing:
    """A file or tree of the store."""

    path: Path
    kind: str
    size_bytes: int
    used_at_seconds: float


def info(store: RemoteBlobs, *, verify: bool) -> StoreInfo:
    """See `Store.info`."""
    things = list(_things(store))
    needs = _needs(store)
    sizes = {thing.path.name: thing.size_bytes for thing in things if thing.path.parent.name == "sha256"}
    missing = {
        MissingBlob(reference, digest)
        for reference, digests in needs
        for digest in digests
        if digest.hex not in sizes and not store.remote_homes(digest)
    }
    needed = {digest.hex for _, digests in needs for digest in digests}
    return StoreInfo(
        home=store.home,
        kinds=_sum(things),
        image_count=len(needs),
        needed_bytes=sum(sizes.get(name, 0) for name in needed),
        missing=tuple(sorted(missing, key=lambda blob: (blob.reference, blob.digest))),
        damaged=_damaged(store) if verify else (),
        changed=_changed(store) if verify else (),
        verified=verify,
    )


def prune(
    store: BlobStore,
    *,
    all: bool,  # noqa: A002  (named as the option)
    older_than_seconds: float | None,
    dry_run: bool,
    wait: bool,
) -> PruneReport:
    """See `Store.prune`. May be interrupted at any moment: what is left goes the next time."""
    if dry_run:
        return PruneReport(_sum(_superfluous(store, all=all, older_than_seconds=older_than_seconds)), dry_run=True)
    with store.alone(wait=wait) as alone:
        if not alone:
            raise TryAgainError(
                f"another shipml is at work in {store.home}", hint="wait until it is done, then: shipml cache prune"
            )
        sync_folder(store.home / "images")  # else a power cut may bring back a name, but not what it needs
        removed = []
        for thing in _superfluous(store, all=all, older_than_seconds=older_than_seconds):
            remove_tree(thing.path)
            if not thing.path.exists():
                removed.append(thing)
        for lock in (store.home / "locks").iterdir():
            lock.unlink(missing_ok=True)  # nobody holds one: whoever does holds the store as well
        return PruneReport(_sum(removed), dry_run=False)


@dataclass(frozen=True, slots=True)
class Bounded:
    """What was done to keep the store within its limit."""

    removed: tuple[KindSize, ...]
    left_bytes: int
    """More than the limit where images themselves need more."""


def bound(store: BlobStore, max_size_bytes: int) -> Bounded | None:
    """See `Store.bound`."""
    with store.alone(wait=False) as alone:
        if not alone:
            return None
        things = list(_things(store))
        left_bytes = sum(thing.size_bytes for thing in things)
        removed = []
        for thing in _expendable(things, {digest.hex for _, digests in _needs(store) for digest in digests}):
            if left_bytes <= max_size_bytes:
                break
            remove_tree(thing.path)
            if not thing.path.exists():
                removed.append(thing)
                left_bytes -= thing.size_bytes
        return Bounded(_sum(removed), left_bytes)


def _expendable(things: Iterable[_Thing], needed: Collection[str]) -> list[_Thing]:
    """What may go, the first first: downloads, trees, then other blobs that no name needs; each by its last use."""

    def rank(thing: _Thing) -> tuple[int, float, str]:
        order = 0 if thing.kind in _DOWNLOADS else 1 if thing.kind == "trees" else 2
        return order, thing.used_at_seconds, thing.path.name

    def may_go(thing: _Thing) -> bool:
        return thing.kind == "trees" or (thing.path.parent.name == "sha256" and thing.path.name not in needed)

    return sorted(filter(may_go, things), key=rank)


def _superfluous(store: BlobStore, *, all: bool, older_than_seconds: float | None) -> list[_Thing]:  # noqa: A002
    """What may go, facts before the blobs that they are about."""
    needed = {digest.hex for _, digests in _needs(store) for digest in digests}
    now = time.time()

    def is_old(thing: _Thing, default_seconds: float = 0.0) -> bool:
        limit_seconds = default_seconds if older_than_seconds is None else older_than_seconds
        return limit_seconds <= 0 or now - thing.used_at_seconds > limit_seconds

    things = list(_things(store))
    blobs = [thing for thing in things if thing.path.parent.name == "sha256"]
    gone = [
        thing
        for thing in blobs
        if thing.path.name not in needed
        and is_old(thing, DOWNLOADS_KEPT_SECONDS if thing.kind in _DOWNLOADS and not all else 0.0)
    ]
    work = [thing for thing in things if thing.kind == "work in progress"]
    if not all:
        return work + gone
    left = {thing.path.name.encode() for thing in blobs} - {thing.path.name.encode() for thing in gone}
    trees = [thing for thing in things if thing.kind == "trees" and is_old(thing)]
    facts = [
        thing
        for thing in things
        if thing.kind == "facts" and thing.path.parent.name not in _HISTORY and _is_about_others(thing.path, left)
    ]
    return work + facts + trees + gone


def _is_about_others(fact: Path, blobs: set[bytes]) -> bool:
    """Whether a fact names a blob that is not among `blobs`."""
    with contextlib.suppress(OSError):
        return any(found not in blobs for found in _HEX_64.findall(fact.read_bytes()))
    return False


def _needs(store: BlobStore) -> list[tuple[str, tuple[Digest, ...]]]:
    """Each tagged reference with the digests of its manifest, config and layers; of an index, those of all images."""
    return [(image.reference, tuple(dict.fromkeys(_needed_by(store, image.digest)))) for image in store.images()]


def _needed_by(store: BlobStore, digest: Digest, *, in_index: bool = False) -> Iterator[Digest]:
    yield digest
    with contextlib.suppress(OSError, ShipmlError):
        with store.open_blob(digest) as stream:
            data = stream.read(DOCUMENT_LIMIT_BYTES)
        if not in_index and is_index("", parse_document(data, "the manifest")):
            for entry in parse_index(data):
                yield from _needed_by(store, entry.digest, in_index=True)
            return
        manifest = parse_manifest(data)
        yield manifest.config.digest
        yield from (layer.digest for layer in manifest.layers)


def _things(store: BlobStore) -> Iterator[_Thing]:
    places: tuple[tuple[str, Callable[[Path], str]], ...] = (
        ("blobs/sha256/*", _blob_kind),
        ("facts/*/*.json", lambda _: "facts"),
        ("roots/*", lambda _: "trees"),
        ("uv", lambda _: "trees"),
        ("tmp/*", lambda _: "work in progress"),
    )
    for pattern, kind_of in places:
        for path in sorted(store.home.glob(pattern)):
            with contextlib.suppress(OSError):  # it may go while we look
                found = path.lstat()
                is_folder = path.is_dir() and not path.is_symlink()
                if is_folder and path.name == "uv" and not any(path.iterdir()):
                    continue
                size_bytes = _tree_bytes(path) if is_folder else found.st_size
                yield _Thing(path, kind_of(path), size_bytes, _used_at_seconds(store, path, found))


def _used_at_seconds(store: BlobStore, path: Path, found: os.stat_result) -> float:
    """When a thing was last used; a tree's own time is part of what its manifest says."""
    if path.parent.name == "roots":
        with contextlib.suppress(FileNotFoundError):
            return (store.home / "tree-manifests" / f"{path.name}.json").stat().st_mtime
    return found.st_mtime


def _blob_kind(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(8)
    return next((kind for magic, kind in _MAGICS if start.startswith(magic)), "other")


def _tree_bytes(folder: Path) -> int:
    """Of all files below; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for entry in walk_files(folder):
        with contextlib.suppress(OSError):
            found = entry.stat(follow_symlinks=False)
            seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())


def _sum(things: Iterable[_Thing]) -> tuple[KindSize, ...]:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for thing in things:
        counts[thing.kind] += 1
        sizes[thing.kind] += thing.size_bytes
    return tuple(KindSize(kind, counts[kind], sizes[kind]) for kind in sorted(counts))


def _damaged(store: BlobStore) -> tuple[Digest, ...]:
    """Blobs that are not what their names say; they are removed, so that the next build makes or fetches them again."""

    def is_damaged(digest: Digest) -> bool:
        return not store.verify_blob(digest)

    digests = sorted(store.blob_digests())
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return tuple(digest for digest, bad in zip(digests, pool.map(is_damaged, digests), strict=True) if bad)


def _changed(store: TreeStore) -> tuple[str, ...]:
    """A file of each tree that is not what was unpacked; the tree is removed, and unpacked again when it is needed."""
    names = sorted(path.name for path in (store.home / "roots").iterdir())
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        found = zip(names, pool.map(store.verify_tree, names), strict=True)
        return tuple(f"{name}/{path}" for name, path in found if path is not None)
