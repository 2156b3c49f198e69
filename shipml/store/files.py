"""The files of the store: blobs, facts, trees, the list of images, and the locks that let processes share them.

::

    blobs/sha256/<hex>         wheels, packages, layers, configs, manifests; appear by rename, never change
    facts/<kind>/<key>.json    what was found out once (a wheel's layers, a resolution, a base's packages)
    images/<sha256 of ref>.json  reference → manifest digest
    roots/<name>/              unpacked trees (interpreters, root file systems); appear by rename
    locks/<name>               flock files: one worker a key
    tmp/<unique>               work in progress; whoever works holds a shared lock on `in-use`

A process that is killed leaves files in tmp/ only; the next process that is alone removes them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from shipml.errors import StoreError, UntrustedInputError
from shipml.folders import remove_tree
from shipml.oci.digest import Digest
from shipml.oci.manifest import canonical_json

__all__ = ["BlobStore", "Draft", "StoredImage", "default_home"]

_USE_RESOLUTION_SECONDS = 86_400
_EXPLAINED = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR),
        *(errno.EEXIST, errno.EISDIR, errno.ENOLCK, errno.ENOTSUP),
    )
)


def default_home() -> Path:
    """SHIPML_HOME, else the platform's cache folder (XDG Base Directory; Apple File System Guide)."""
    if home := os.environ.get("SHIPML_HOME"):
        return Path(home).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "shipml"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shipml"


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
        with _explained(home):
            for folder in (self._blobs, home / "facts", home / "images", home / "roots", home / "locks", home / "tmp"):
                folder.mkdir(parents=True, exist_ok=True)
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
        """Whether the blob is here, with that size where one is given. Asking counts as use (see `prune`)."""
        path = self.blob_path(digest)
        with _explained(self.home):
            try:
                found = path.stat()
            except FileNotFoundError:
                return False
        if size_bytes is not None and found.st_size != size_bytes:
            return False
        _note_use(path, found.st_mtime)
        return True

    def blob_digests(self) -> frozenset[Digest]:
        """Of all blobs that are here now."""
        with _explained(self.home):
            return frozenset(Digest(path.name) for path in self._blobs.iterdir() if _is_hex(path.name))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The bytes of a blob.

        Raises:
            StoreError: it is not here.
        """
        with _explained(self.home):
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
        with _explained(self.home):
            descriptor, name = tempfile.mkstemp(dir=self.home / "tmp")
        path = Path(name)
        try:
            with _explained_full(self.home), os.fdopen(descriptor, "w+b", buffering=1 << 20) as stream:
                yield Draft(stream, path)
        finally:
            path.unlink(missing_ok=True)

    def adopt(self, draft: Draft, digest: Digest) -> Path:
        """Make a draft the blob `digest`, which the caller has computed or checked while writing; returns its path."""
        with _explained(self.home):
            draft.stream.flush()
            draft.path.chmod(0o444)
            path = self.blob_path(digest)
            draft.path.rename(path)
            return path

    # Facts

    def fact(self, kind: str, key: str) -> Any:  # noqa: ANN401  (JSON has no narrower type)
        """What was kept under `kind` and `key` (any text), or None. Damaged facts count as absent."""
        with _explained(self.home):
            try:
                return json.loads(self._fact_path(kind, key).read_bytes())
            except (FileNotFoundError, ValueError, RecursionError):
                return None

    def keep_fact(self, kind: str, key: str, value: object) -> None:
        """Keep a JSON value under `kind` and `key`."""
        self._write(self._fact_path(kind, key), canonical_json(value))

    def _fact_path(self, kind: str, key: str) -> Path:
        return self.home / "facts" / kind / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    # Trees

    def tree(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder `roots/<name>`, made once by `make`, which fills an empty folder it is given."""
        path = self.home / "roots" / name
        if path.is_dir():
            _note_use(path, path.stat().st_mtime)
            return path
        with self.lock(f"tree-{name}"):
            if path.is_dir():
                return path
            with _explained(self.home):
                path.parent.mkdir(parents=True, exist_ok=True)
                work = Path(tempfile.mkdtemp(dir=self.home / "tmp"))
            try:
                with _explained_full(self.home):
                    work.chmod(0o755)  # mkdtemp's 0700 would be the mode of `/` for whoever runs in the tree
                    make(work)
                    work.rename(path)
            finally:
                remove_tree(work)
        return path

    # Images

    def tag(self, reference: str, digest: Digest, *, source: str = "") -> None:
        """Let `reference` name the image whose manifest is the blob `digest`."""
        document = {
            "reference": reference,
            "digest": str(digest),
            "source": source,
            "created_at_seconds": time.time(),
        }
        self._write(self._image_path(reference), canonical_json(document))

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
            with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError, UntrustedInputError):
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
        with _explained(self.home):
            file = (self.home / "locks" / hashlib.sha256(name.encode()).hexdigest()).open("a")
        with file:
            with _explained(self.home):
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

    def _write(self, path: Path, data: bytes) -> None:
        with self.draft() as draft, _explained(self.home):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.stream.write(data)
            draft.stream.flush()
            draft.path.rename(path)


def _is_hex(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")  # noqa: PLR2004


def _note_use(path: Path, modified_at_seconds: float) -> None:
    """Let the modification time say when something was last used, to the day: `prune` goes by it."""
    if time.time() - modified_at_seconds > _USE_RESOLUTION_SECONDS:
        with contextlib.suppress(OSError):
            os.utime(path)


@contextmanager
def _explained_full(home: Path) -> Iterator[None]:
    """Errors of a full disk as StoreError; others may come from any file that the block works on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(
            f"the disk under {home} is full",
            hint="free some space, or run: shipml cache prune; or point SHIPML_HOME to another disk",
        ) from error


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    """Errors of the store's own files as StoreError."""
    with _explained_full(home):
        try:
            yield
        except OSError as error:
            if error.errno not in _EXPLAINED:
                raise
            raise StoreError(
                f"cannot use the store {home}: {error.strerror}",
                hint="point SHIPML_HOME to a writable folder on a local disk",
            ) from error
