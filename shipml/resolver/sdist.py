"""The files of a source distribution that say what it is: read from the archive, bounded; nothing of it is run."""

from __future__ import annotations

import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shipml.errors import UntrustedInputError

__all__ = ["Sdist", "read_sdist"]

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)
"""What the readers of archives raise for broken ones, and for passwords and methods that they do not know."""

_LIMIT_BYTES = 4 << 20
_MOST_MEMBERS = 200_000
_READ = frozenset({"PKG-INFO", "pyproject.toml", "setup.cfg", "setup.py"})


@dataclass(frozen=True, slots=True)
class Sdist:
    """A source distribution; paths are those below its top folder."""

    names: frozenset[str]
    """All files, and in a zip folders."""
    sizes_bytes: Mapping[str, int]
    """Of the same, unpacked."""
    files: Mapping[str, bytes]
    """Content of those that say what is needed to build and to run it: `requires.txt` is the one of *.egg-info."""

    def text(self, name: str) -> str:
        """A file of `files`; "" where there is none."""
        return self.files.get(name, b"").decode("utf-8", "replace")


def read_sdist(path: Path, filename: str) -> Sdist:
    """Read a source distribution.

    Args:
        path: the file.
        filename: as the index names it: says what kind of archive it is.

    Raises:
        UntrustedInputError: it is not an archive.
    """
    sizes_bytes: dict[str, int] = {}
    files: dict[str, bytes] = {}
    try:
        for member, data, size_bytes in _of_zip(path) if filename.endswith(".zip") else _of_tar(path):
            sizes_bytes[member] = size_bytes
            if data is not None:
                files[_key(member)] = data
    except _BROKEN as error:
        raise UntrustedInputError(f"{filename} is not a source distribution: {error}") from error
    return Sdist(frozenset(sizes_bytes), sizes_bytes, files)


def _of_tar(path: Path) -> Iterator[tuple[str, bytes | None, int]]:
    with tarfile.open(path, "r:*") as archive:
        for number, member in enumerate(archive):
            if number > _MOST_MEMBERS:
                return
            name = _below_top(member.name)
            if not name or not member.isfile():
                continue
            stream = archive.extractfile(member) if _key(name) and member.size <= _LIMIT_BYTES else None
            yield name, stream.read(_LIMIT_BYTES) if stream else None, member.size


def _of_zip(path: Path) -> Iterator[tuple[str, bytes | None, int]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist()[:_MOST_MEMBERS]:
            name = _below_top(member.filename)
            if not name:
                continue
            if not _key(name) or member.file_size > _LIMIT_BYTES:
                yield name, None, member.file_size
                continue
            with archive.open(member) as stream:
                yield name, stream.read(_LIMIT_BYTES), member.file_size


def _below_top(path: str) -> str:
    return "/".join(posixpath.normpath(path).split("/")[1:])


def _key(name: str) -> str:
    """Under which a file's content is kept; "" for files that are not read."""
    if name in _READ:
        return name
    folder, _, file = name.rpartition("/")
    return file if file == "requires.txt" and folder.endswith(".egg-info") else ""
