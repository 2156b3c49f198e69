"""The files of the store: blobs, facts, trees, the list of images, and the locks that let processes share them.

::

    blobs/sha256/<hex>         wheels, packages, layers, configs, manifests; appear by rename, never change
    facts/<kind>/<key>.json    what was found out once (a wheel's layers, a resolution, a base's packages)
    images/<sha256 of ref>.json  reference → manifest digest
    roots/<name>/              unpacked trees (interpreters, root file systems); appear by rename
    tree-manifests/<name>.json  what every path in a tree was when it was made
    locks/<name>               flock files: one worker a key
    tmp/<unique>               work in progress; whoever works holds a shared lock on `in-use`

All are for their owner alone. A process that is killed leaves files in tmp/ only; the next one that is alone removes
them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from shipml.errors import StoreError, UntrustedInputError
from shipml.folders import remove_tree
from shipml.oci.digest import Digest
from shipml.oci.manifest import canonical_json
from shipml.store.durable import sync_file, sync_folder
from shipml.store.home import explained, explained_full, prepare_home, private_folder

__all__ = ["BlobStore", "Draft", "StoredImage", "note_use"]

_USE_RESOLUTION_SECONDS = 86_400
_SECOND_NS = 1_000_000_000
_DAMAGED = (FileNotFoundError, ValueError, LookupError, TypeError, OverflowError, RecursionError, UntrustedInputError)


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An entry of the list of images."""

    reference: str
    """As docker writes it: `name:tag`."""
    digest: Digest
    """Of the manifest."""
    source: str
    """The folder that it was built from, or ""."""
    created_at_seconds: float
    """When the reference was last set (POSIX time)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that is being written and that nobody sees yet."""

    stream: IO[bytes]
    path: Path


class BlobStore:
    """Opens (and makes) the store in `home`, and holds it in use until the process ends or `close` is called."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._blobs = home / "blobs" / "sha256"
        with explained(home):
            prepare_home(home)
            self._in_use = (home / "in-use").open("a")
            self._sweep()

    def close(self) -> None:
        """Let go of the store; `prune` of another process may then run."""
        self._in_use.close()

    # Blobs

    def blob_path(self, digest: Digest) -> Path:
        """Where the blob lies, or would lie."""
        return self._blobs / digest.hex

    def has_blob(self, digest: Digest, size_bytes: int | None = None) -> bool:
        """Whether the blob is here, with that size where one is given. Asking counts as use (see `prune`).

        One that was touched since it was kept is read; where its bytes are not those of its digest, it is removed.
        """
        path = self.blob_path(digest)
        with explained(self.home):
            try:
                found = path.stat()
            except FileNotFoundError:
                return False
            if size_bytes is not None and found.st_size != size_bytes:
                return False
            if not _is_sealed(found) and not self.verify_blob(digest):
                return False
        note_use(path, found.st_mtime)
        return True

    def verify_blob(self, digest: Digest) -> bool:
        """Read a blob: whether its bytes are those of its digest. One that differs is removed, to be made again."""
        path = self.blob_path(digest)
        try:
            found = path.stat()
            if Digest.of_file(path) == digest:
                with contextlib.suppress(OSError):
                    _seal(path, found.st_mtime)
                return True
        except FileNotFoundError:
            return False
        except OSError:  # a disk that cannot read it any more
            pass
        with contextlib.suppress(OSError):
            path.unlink()
        return False

    def blob_digests(self) -> frozenset[Digest]:
        """Of all blobs that are here now."""
        with explained(self.home):
            return frozenset(Digest(path.name) for path in self._blobs.iterdir() if _is_hex(path.name))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The bytes of a blob.

        Raises:
            StoreError: it is not here.
        """
        with explained(self.home):
            try:
                return self.blob_path(digest).open("rb")
            except FileNotFoundError as error:
                raise StoreError(
                    f"{digest} is not in the store {self.home}", hint="build the image again: shipml build"
                ) from error

    def put_blob(self, data: bytes) -> Digest:
        """Keep bytes; returns their digest. A damaged blob of that digest is replaced."""
        digest = Digest.of(data)
        if not self.has_blob(digest, len(data)) or self.blob_path(digest).read_bytes() != data:
            with self.draft() as draft:
                draft.stream.write(data)
                self.adopt(draft, digest)
        return digest

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """A new file in tmp/ to write into, removed at the end unless it was made a blob.

        Raises:
            StoreError: the disk is full or the store cannot be written. Errors of other files pass unchanged.
        """
        with explained(self.home):
            descriptor, name = tempfile.mkstemp(dir=self.home / "tmp")
        path = Path(name)
        try:
            with explained_full(self.home), os.fdopen(descriptor, "w+b", buffering=1 << 20) as stream:
                yield Draft(stream, path)
        finally:
            path.unlink(missing_ok=True)

    def adopt(self, draft: Draft, digest: Digest) -> Path:
        """Make a draft the blob `digest`, which the caller has computed or checked while writing; returns its path."""
        with explained(self.home):
            sync_file(draft.stream)
            draft.path.chmod(0o400)
            _seal(draft.path, time.time())
            path = self.blob_path(digest)
            draft.path.rename(path)
            return path

    # Facts

    def fact(self, kind: str, key: str) -> Any:  # noqa: ANN401  (JSON has no narrower type)
        """What was kept under `kind` and `key` (any text), or None. Damaged facts count as absent."""
        with explained(self.home):
            try:
                return json.loads(self._fact_path(kind, key).read_bytes(), parse_constant=_refuse)
            except (FileNotFoundError, ValueError, RecursionError):
                return None

    def has_fact(self, kind: str, key: str) -> bool:
        """Whether anything was kept there, damaged or not: for facts whose absence allows something."""
        return self._fact_path(kind, key).exists()

    def keep_fact(self, kind: str, key: str, value: object, *, durable: bool = False) -> None:
        """Keep a JSON value under `kind` and `key`; `durable` ones are not found out again, and survive a power cut."""
        path = self._fact_path(kind, key)
        with explained(self.home):
            private_folder(path.parent)
        self.write_file(path, canonical_json(value), durable=durable)

    def _fact_path(self, kind: str, key: str) -> Path:
        return self.home / "facts" / kind / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    # Images

    def tag(self, reference: str, digest: Digest, *, source: str = "") -> None:
        """Let `reference` name the image whose manifest is the blob `digest`, also after a power cut."""
        document = {
            "reference": reference,
            "digest": str(digest),
            "source": source,
            "created_at_seconds": time.time(),
        }
        sync_folder(self._blobs)
        self.write_file(self._image_path(reference), canonical_json(document), durable=True)

    def untag(self, reference: str) -> bool:
        """Forget a reference; False if it was not known."""
        try:
            self._image_path(reference).unlink()
        except FileNotFoundError:
            return False
        return True

    def images(self) -> list[StoredImage]:
        """All references, newest first."""
        found = []
        for path in (self.home / "images").glob("*.json"):
            with contextlib.suppress(*_DAMAGED):
                document = json.loads(path.read_bytes())
                found.append(
                    StoredImage(
                        str(document["reference"]),
                        Digest.parse(document["digest"]),
                        str(document["source"]),
                        float(document["created_at_seconds"]),
                    )
                )
        return sorted(found, key=lambda image: (-image.created_at_seconds, image.reference))

    def _image_path(self, reference: str) -> Path:
        return self.home / "images" / f"{hashlib.sha256(reference.encode()).hexdigest()}.json"

    # Sharing

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Wait until no other process or thread works under `name`, then hold it."""
        with explained(self.home):
            file = (self.home / "locks" / hashlib.sha256(name.encode()).hexdigest()).open("a")
        with file:
            with explained(self.home):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def alone(self, *, wait: bool) -> Iterator[bool]:
        """Hold the store alone; yields False where another process uses it and `wait` is False."""
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            fcntl.flock(self._in_use, fcntl.LOCK_SH)
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._in_use, fcntl.LOCK_SH)

    def _sweep(self) -> None:
        """Remove what a killed process left behind, if nobody else is at work."""
        with self.alone(wait=False) as alone:
            if alone:
                for leftover in (self.home / "tmp").iterdir():
                    remove_tree(leftover)

    def write_file(self, path: Path, data: bytes, *, durable: bool = False) -> None:
        """Write a file of the store; it appears whole, and a `durable` one is there after a power cut."""
        with self.draft() as draft, explained(self.home):
            draft.stream.write(data)
            draft.stream.flush()
            if durable:
                sync_file(draft.stream)
            draft.path.rename(path)
            if durable:
                sync_folder(path.parent)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _is_hex(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")  # noqa: PLR2004


def note_use(path: Path, modified_at_seconds: float) -> None:
    """Let the modification time say when something was last used, to the day: `prune` goes by it."""
    if time.time() - modified_at_seconds > _USE_RESOLUTION_SECONDS:
        with contextlib.suppress(OSError):
            _seal(path, time.time())


def _seal(path: Path, at_seconds: float) -> None:
    """Give a blob a time of whole seconds: whoever writes into it later leaves a time with a fraction."""
    at_ns = int(at_seconds) * _SECOND_NS
    os.utime(path, ns=(at_ns, at_ns))


def _is_sealed(found: os.stat_result) -> bool:
    return found.st_mtime_ns % _SECOND_NS == 0
