"""Layer → folder, safely: what an overlay file system needs to show the layer as the image's author meant it.

A layer is a tar (OCI image-spec 1.1, layer.md). Whatever it says, nothing outside the folder is touched. Whiteouts
become what overlayfs reads when mounted with `userxattr`: `.wh.NAME` a character device 0:0 called NAME, `.wh..wh..opq`
the extended attribute `user.overlay.opaque` of its folder (Linux, Documentation/filesystems/overlayfs.rst).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from shipml.errors import UnavailableError, UntrustedInputError
from shipml.oci.compression import decompressed
from shipml.oci.digest import Digest

__all__ = ["OPAQUE_ATTRIBUTE", "unpack_layer"]

_BLOCK_BYTES = 512
_CHUNK_BYTES = 1 << 20
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
OPAQUE_ATTRIBUTE = "user.overlay.opaque"
"""On a folder that hides what lower layers have in it; its value is `y`."""
_FOLDER_MODE = 0o755
_MAX_PATH_BYTES, _MAX_DEPTH = 4096, 255
_MAX_ENTRIES = 5_000_000
_MAX_CONTENT_BYTES = 256 << 30
_MAX_METADATA_BYTES, _MAX_METADATA_BLOCKS = 1 << 20, 64
"""Of all headers before one entry: PAX headers hold what a name and a few attributes need, and come one after another
no more than a handful."""
_WHITEOUT_DEVICE = os.makedev(0, 0)


def unpack_layer(stream: BinaryIO, media_type: str, folder: Path) -> Digest:
    """Unpack a layer, as transported, into the empty folder `folder`; returns its diff id as found.

    Modes and times are kept; owners too where the process is root, else all belongs to the caller. Devices under `dev/`
    are left out (a runtime makes its own). Extended attributes of the archive are not taken over.

    Raises:
        UntrustedInputError: broken, truncated, larger or deeper than any sound layer, or it tries to reach outside the
            folder; the folder is then half-filled.
        UnavailableError: the folder's file system cannot hold a whiteout.
    """
    with _broken_input_explained(), decompressed(stream, media_type) as content:
        reader = _Reader(content)
        unpacker = _Unpacker(os.fsencode(folder), reader)
        for entry in _entries(reader):
            unpacker.add(entry)
        unpacker.close()
        reader.drain()
    return reader.digest


class _Reader:
    """Reads forward only and hashes all it reads; seeks forward by reading, which is all that `tarfile` asks for."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self._position = 0
        self._metadata: tuple[int, int] | None = None
        """Bytes and blocks that the headers before the next entry may still have; None while content is read."""
        self.last = b""

    @contextmanager
    def headers(self) -> Iterator[None]:
        """What is read in the block belongs to one entry's headers, which `tarfile` takes into memory whole."""
        self._metadata = _MAX_METADATA_BYTES, _MAX_METADATA_BLOCKS
        try:
            yield
        finally:
            self._metadata = None

    def read(self, size_bytes: int = -1) -> bytes:
        if self._metadata:
            bytes_left, blocks_left = self._metadata[0] - size_bytes, self._metadata[1] - 1
            if size_bytes < 0 or bytes_left < 0 or blocks_left < 0:
                raise UntrustedInputError(
                    f"the layer has more than {_MAX_METADATA_BLOCKS} headers before one file, "
                    f"or more than {_MAX_METADATA_BYTES >> 20} MiB of them"
                )
            self._metadata = bytes_left, blocks_left
        data = self._source.read(size_bytes)
        while 0 < len(data) < size_bytes and (more := self._source.read(size_bytes - len(data))):
            data += more
        self._hash.update(data)
        self._position += len(data)
        self.last = data
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        if whence or position < self._position:
            raise UntrustedInputError("the layer's tar is not in order")
        while self._position < position and self.read(min(_CHUNK_BYTES, position - self._position)):
            pass
        return self._position

    def drain(self) -> None:
        while self.read(_CHUNK_BYTES):
            pass

    @property
    def digest(self) -> Digest:
        return Digest(self._hash.hexdigest())


def _entries(reader: _Reader) -> Iterator[tarfile.TarInfo]:
    with reader.headers():  # it reads the first entry's at once
        tar = tarfile.TarFile(fileobj=reader, mode="r", encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
        entry = tar.next()
    count = content_bytes = 0
    while entry is not None:
        count, content_bytes = count + 1, content_bytes + entry.size
        if count > _MAX_ENTRIES or content_bytes > _MAX_CONTENT_BYTES:
            raise UntrustedInputError(
                f"the layer has more than {_MAX_ENTRIES:,} entries, "
                f"or more than {_MAX_CONTENT_BYTES >> 30} GiB of content"
            )
        yield entry
        tar.members.clear()  # type: ignore[attr-defined]  # else it keeps every entry
        reader.seek(tar.offset)
        if reader.tell() != tar.offset:
            raise UntrustedInputError(f"the layer ends in the middle of {entry.name}")
        with reader.headers():
            entry = tar.next()
    # tarfile takes a damaged header for the end of the archive
    if len(reader.last) % _BLOCK_BYTES or reader.last.strip(b"\0"):
        raise UntrustedInputError("the layer's tar has a damaged header")


class _Unpacker:
    """Writes entries below `root`. No other process works in there, so what was checked once stays true."""

    def __init__(self, root: bytes, reader: _Reader) -> None:
        self._root = root
        self._reader = reader
        self._folders = {b""}
        """Relative paths known to be real folders."""
        self._attributes: dict[bytes, tarfile.TarInfo] = {}
        """Of folders: set at the end, since a read-only folder takes no files and each file changes its time."""
        self._keep_owners = os.geteuid() == 0

    def add(self, entry: tarfile.TarInfo) -> None:
        path = _safe_path(entry.name)
        parent, _, name = path.rpartition(b"/")
        self._enter(parent, entry)
        if name.startswith(_WHITEOUT):
            self._whiteout(parent, name)
        elif entry.isdir():
            self._directory(path, entry)
        elif not path:
            raise UntrustedInputError(f"the layer's root is not a folder: {entry.name!r}")
        elif entry.isreg() and not entry.issparse():
            self._file(path, entry)
        elif entry.issym():
            if not entry.linkname:
                raise UntrustedInputError(f"the layer has a link without a target: {entry.name}")
            self._replace(path, lambda target: os.symlink(_encode(entry.linkname), target))
            self._set_owner(path, entry)
            os.utime(self._at(path), ns=_times(entry), follow_symlinks=False)
        elif entry.islnk():
            self._hardlink(path, entry)
        elif entry.isfifo():
            self._replace(path, os.mkfifo)
            self._set_owner(path, entry)
            os.chmod(self._at(path), stat.S_IMODE(entry.mode))
        elif not (entry.isdev() and (path + b"/").startswith(b"dev/")):
            raise UntrustedInputError(f"the layer holds a device or something unknown: {entry.name}")

    def close(self) -> None:
        for path, entry in sorted(self._attributes.items(), reverse=True):
            self._set_owner(path, entry)
            os.chmod(self._at(path), stat.S_IMODE(entry.mode))
            os.utime(self._at(path), ns=_times(entry))

    def _at(self, path: bytes) -> bytes:
        return self._root + b"/" + path

    def _enter(self, folder: bytes, entry: tarfile.TarInfo) -> None:
        """Make sure that every part of `folder` is a real folder, never a link that leads elsewhere."""
        if folder in self._folders:
            return
        self._enter(folder.rpartition(b"/")[0], entry)
        kind = self._kind(folder)
        if kind not in (0, stat.S_IFDIR, stat.S_IFCHR):
            raise UntrustedInputError(
                f"the layer writes {entry.name} through {folder.decode(errors='replace')}, which is not a folder"
            )
        if kind != stat.S_IFDIR:
            self._make_folder(folder, was_whiteout=kind == stat.S_IFCHR)
        self._folders.add(folder)

    def _kind(self, path: bytes) -> int:
        """File type bits of what lies there; 0 for nothing. The only character devices here are whiteouts."""
        try:
            return stat.S_IFMT(os.lstat(self._at(path)).st_mode)
        except FileNotFoundError:
            return 0

    def _make_folder(self, path: bytes, *, was_whiteout: bool) -> None:
        target = self._at(path)
        if was_whiteout:
            os.unlink(target)
        os.mkdir(target, 0o755)
        os.chmod(target, _FOLDER_MODE)  # mkdir subtracts the umask
        if was_whiteout:
            self._make_opaque(path)

    def _directory(self, path: bytes, entry: tarfile.TarInfo) -> None:
        if path not in self._folders:
            kind = self._kind(path)
            if kind not in (0, stat.S_IFDIR, stat.S_IFCHR):
                os.unlink(self._at(path))
                kind = 0
            if kind != stat.S_IFDIR:
                self._make_folder(path, was_whiteout=kind == stat.S_IFCHR)
            self._folders.add(path)
        self._attributes[path] = entry

    def _file(self, path: bytes, entry: tarfile.TarInfo) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._at(path), flags, 0o600)
        except FileExistsError:
            self._remove(path)
            descriptor = os.open(self._at(path), flags, 0o600)
        try:
            left = entry.size
            while left:
                piece = self._reader.read(min(left, _CHUNK_BYTES))
                if not piece:
                    raise UntrustedInputError(f"the layer ends in the middle of {entry.name}")
                left -= len(piece)
                _write_all(descriptor, piece)
            if self._keep_owners and (entry.uid or entry.gid):
                os.chown(descriptor, entry.uid, entry.gid)
            os.fchmod(descriptor, stat.S_IMODE(entry.mode))
            os.utime(descriptor, ns=_times(entry))
        finally:
            os.close(descriptor)

    def _hardlink(self, path: bytes, entry: tarfile.TarInfo) -> None:
        existing = _safe_path(entry.linkname)
        self._enter(existing.rpartition(b"/")[0], entry)
        inside_itself = existing.startswith(path + b"/")  # making the link would remove what it links to
        if inside_itself or self._kind(existing) not in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO):
            raise UntrustedInputError(f"{entry.name} is a hard link to {entry.linkname}, no file of this layer")
        if existing != path:
            self._replace(path, lambda target: os.link(self._at(existing), target, follow_symlinks=False))

    def _whiteout(self, parent: bytes, name: bytes) -> None:
        hidden = name.removeprefix(_WHITEOUT)
        if name == _OPAQUE:
            self._make_opaque(parent)
        elif hidden in (b"", b".", b".."):
            raise UntrustedInputError(f"the layer holds the whiteout {name.decode()!r}, which hides no name")
        elif not hidden.startswith(_WHITEOUT):  # else aufs's own bookkeeping
            path = b"/".join(filter(None, (parent, hidden)))
            kind = self._kind(path)
            if kind == stat.S_IFDIR:
                self._make_opaque(path)
            elif not kind:
                with _whiteouts_explained(self._root):
                    os.mknod(self._at(path), stat.S_IFCHR, _WHITEOUT_DEVICE)

    def _make_opaque(self, path: bytes) -> None:
        with _whiteouts_explained(self._root):
            os.setxattr(self._at(path), OPAQUE_ATTRIBUTE, b"y")

    def _replace(self, path: bytes, make: Any) -> None:  # noqa: ANN401  (any of os.symlink, os.link, os.mkfifo, bound)
        try:
            make(self._at(path))
        except FileExistsError:
            self._remove(path)
            make(self._at(path))

    def _remove(self, path: bytes) -> None:
        if self._kind(path) == stat.S_IFDIR:
            for parent, _, _ in os.walk(self._at(path)):  # each folder once, however often folders are replaced
                folder = parent[len(self._root) + 1 :]
                self._folders.discard(folder)
                self._attributes.pop(folder, None)
            shutil.rmtree(self._at(path))
        else:
            os.unlink(self._at(path))

    def _set_owner(self, path: bytes, entry: tarfile.TarInfo) -> None:
        if self._keep_owners and (entry.uid or entry.gid):
            os.chown(self._at(path), entry.uid, entry.gid, follow_symlinks=False)


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _safe_path(name: str) -> bytes:
    """The path below the root without `.` parts; b"" is the root itself."""
    encoded = _encode(name)
    parts = [part for part in encoded.split(b"/") if part not in (b"", b".")]
    if encoded.startswith(b"/") or b".." in parts or b"\0" in encoded:
        raise UntrustedInputError(f"the layer holds the path {name!r}, which leads outside")
    if len(encoded) > _MAX_PATH_BYTES or len(parts) > _MAX_DEPTH:
        raise UntrustedInputError(
            f"the layer holds a path of {len(encoded)} bytes and {len(parts)} parts, "
            f"more than {_MAX_PATH_BYTES} or {_MAX_DEPTH}: {name[:60]!r}…"
        )
    return b"/".join(parts)


def _times(entry: tarfile.TarInfo) -> tuple[int, int]:
    nanoseconds = min(max(int(entry.mtime * 1_000_000_000), 0), (1 << 62))
    return nanoseconds, nanoseconds


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _broken_input_explained() -> Iterator[None]:
    try:
        yield
    except (EOFError, tarfile.TarError) as error:
        raise UntrustedInputError(f"the layer is broken: {error}") from error
    except (ValueError, OverflowError) as error:
        raise UntrustedInputError(f"the layer has a header that makes no sense: {error}") from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.ELOOP, errno.EINVAL):
            raise UntrustedInputError(f"the layer has a name that no file can have: {error.strerror}") from error
        raise


@contextmanager
def _whiteouts_explained(root: bytes) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOTSUP):
            raise UnavailableError(
                f"the file system of {os.fsdecode(root)} cannot hold the image's deleted files ({error.strerror})",
                hint="point SHIPML_HOME to a folder on ext4, xfs or btrfs",
            ) from error
        raise
