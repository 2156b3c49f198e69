"""Reads a .deb (deb(5)): an ar archive of debian-binary, control.tar.* and data.tar.*.

Nothing is trusted: names must stay below the root, links may not climb above it, and only files, folders
and links count. Devices and pipes are refused, setuid and setgid bits are dropped. Writes nothing.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, cast

from shipml.errors import UntrustedInputError

__all__ = ["DebMember", "read_control", "read_members"]

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER_BYTES = 60
_MERGED_NAMES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Links into /usr: `furnishing` makes them, packages may bring them as folders (bookworm) or as links (trixie)."""
_FILE_LIMIT_BYTES = 1 << 30
_CONTROL_LIMIT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class DebMember:
    """One entry of data.tar, checked."""

    path: str
    """Relative to the root, `/` between parts, no leading slash; with usrmerge: never below bin, sbin or lib."""
    kind: Literal["file", "directory", "symlink", "hardlink"]
    mode: int
    """Permissions; of the special bits only the sticky bit of folders."""
    target: str = ""
    """Of a symlink: as it stands. Of a hardlink: a path like `path`."""
    data: bytes = field(default=b"", repr=False)
    """Of a file."""


def read_control(deb: Path, name: str) -> dict[str, bytes]:
    """The files of control.tar by name ("control", "md5sums"); `name` is the package's, for messages.

    Raises:
        UntrustedInputError: the package is damaged.
    """
    found: dict[str, bytes] = {}
    with _explained(name), _open_tar(deb, "control.tar") as archive:
        for entry in archive:
            if entry.isreg():
                if entry.size > _CONTROL_LIMIT_BYTES:
                    raise UntrustedInputError(f"its {entry.name} is too large ({entry.size} bytes)")
                found[entry.name.removeprefix("./")] = _content(archive, entry)
    return found


def read_members(deb: Path, name: str) -> Iterator[DebMember]:
    """The entries of data.tar in their order; `name` is the package's, for messages.

    Raises:
        UntrustedInputError: the package is damaged, or an entry is not allowed in a package.
    """
    seen: set[str] = set()
    with _explained(name), _open_tar(deb, "data.tar") as archive:
        for entry in archive:
            path = _checked_path(entry.name)
            if not path or (path in _MERGED_NAMES and (entry.isdir() or entry.issym())):
                continue
            path = _merged(path)
            if path in seen and not entry.isdir():
                raise UntrustedInputError(f"{entry.name!r} is in it twice")
            seen.add(path)
            yield _member(archive, entry, path)


def _member(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> DebMember:
    if entry.isreg():
        if entry.size > _FILE_LIMIT_BYTES:
            raise UntrustedInputError(f"{entry.name!r} is larger than the {_FILE_LIMIT_BYTES} bytes it may have")
        return DebMember(path, "file", entry.mode & 0o777, data=_content(archive, entry))
    if entry.isdir():
        return DebMember(path, "directory", entry.mode & 0o1777)
    if entry.issym():
        _check_link(path, entry.linkname)
        return DebMember(path, "symlink", 0o777, entry.linkname)
    if entry.islnk():
        return DebMember(path, "hardlink", entry.mode & 0o777, _merged(_checked_path(entry.linkname)))
    raise UntrustedInputError(f"{entry.name!r} is a device, a pipe or something else that a package must not bring")


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(entry)
    data = stream.read() if stream else b""
    if len(data) != entry.size:
        raise UntrustedInputError(f"{entry.name!r} ends after {len(data)} of {entry.size} bytes")
    return data


def _checked_path(name: str) -> str:
    """`name` without `./`; "" is the root itself."""
    path = name.removeprefix("./").rstrip("/")
    if path in ("", "."):
        return ""
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        raise UntrustedInputError(f"{name!r} would lie outside the image")
    return path


def _merged(path: str) -> str:
    """`path` on a system where /bin, /sbin and /lib are links into /usr, as all of Debian's are since bookworm."""
    return f"usr/{path}" if path.partition("/")[0] in _MERGED_NAMES else path


def _check_link(path: str, target: str) -> None:
    """A relative target may climb to the root, not above it."""
    if not target or "\0" in target:
        raise UntrustedInputError(f"the link {path!r} has no target")
    depth = 0 if target.startswith("/") else path.count("/")
    for part in target.split("/"):
        depth += -1 if part == ".." else int(part not in ("", "."))
        if depth < 0:
            raise UntrustedInputError(f"the link {path!r} → {target!r} leads out of the image")


@contextmanager
def _open_tar(deb: Path, prefix: str) -> Iterator[tarfile.TarFile]:
    name, data = _ar_member(deb, prefix)
    with tarfile.open(fileobj=_unpacked(name, data), mode="r|", bufsize=1 << 20) as archive:
        yield archive


def _ar_member(deb: Path, prefix: str) -> tuple[str, bytes]:
    """Name and bytes of the member of the ar archive whose name begins with `prefix` (deb(5), ar(5))."""
    with deb.open("rb") as file:
        if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise UntrustedInputError("it is not a Debian package")
        while header := file.read(_AR_HEADER_BYTES):
            size = header[48:58].strip()
            if len(header) != _AR_HEADER_BYTES or header[58:] != b"`\n" or not size.isdigit():
                raise UntrustedInputError("its ar archive is damaged")
            name = header[:16].decode("ascii", "replace").strip().rstrip("/")
            if name.startswith(prefix):
                data = file.read(int(size))
                if len(data) != int(size):
                    raise UntrustedInputError(f"its {name} ends after {len(data)} of {int(size)} bytes")
                return name, data
            file.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise UntrustedInputError(f"it has no {prefix}")


def _unpacked(name: str, data: bytes) -> IO[bytes]:
    kind = name.rpartition(".tar")[2]
    if kind == ".xz":
        return lzma.LZMAFile(io.BytesIO(data))
    if kind == ".gz":
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=io.BytesIO(data)))
    if kind == "":
        return io.BytesIO(data)
    raise UntrustedInputError(
        f"its {name} is compressed as Debian's packages are not", hint="zstd is Ubuntu's; use a mirror of Debian"
    )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except UntrustedInputError as error:
        raise UntrustedInputError(f"the package {name} is refused: {error.message}", hint=error.hint) from error
    except (tarfile.TarError, lzma.LZMAError, EOFError, zlib.error, OSError, ValueError) as error:
        raise UntrustedInputError(f"the package {name} is damaged: {error}") from error
