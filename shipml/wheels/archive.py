"""Reads a wheel's zip archive, trusting nothing it says (PKWARE APPNOTE 6.3.10; PEP 427).

The central directory is the only list of entries, and every local header must say the same. What could be read in two
ways by two programs (duplicate names, overlapping entries, junk before the archive, names that change their meaning) is
refused, so that what shipml installs is what any installer would. Names that differ only by case are two files: images
are Linux. Compressed bytes are read in pieces with `pread`, so memory stays flat and threads share one archive.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib

from shipml.errors import UntrustedInputError
from shipml.wheels.zip_directory import (
    FOUND_BYTES,
    Directory,
    find_directory,
    zip64_sizes,
)

__all__ = ["PIECE_BYTES", "Archive", "Entry"]

PIECE_BYTES = 1 << 18
"""How much of a compressed stream is read at once."""

_STORED, _DEFLATED = 0, 8
_PIECE_BYTES = 1 << 20
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 98: "PPMd"}
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_DESCRIPTOR_FOLLOWS = 1 << 3
_UTF8 = 1 << 11
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_READ_BYTES = 1024
_MAX_DEFLATE_RATIO = 1032
"""One DEFLATE bit pair stands for at most 258 bytes: what declares more is lying."""
_MAX_TOTAL_BYTES = 64 << 30
_MAX_NAME_BYTES, _MAX_COMPONENT_BYTES, _MAX_DEPTH = 4096, 255, 255
_DRIVE = re.compile(r"[A-Za-z]:")
_UNICODE_PATH = 0x7075


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive; folders are checked and then left out, as installers do."""

    name: str
    """Relative, with `/`."""
    deflated: bool
    """Whether the data is one raw DEFLATE stream; else it is stored as it is."""
    crc32: int
    compressed_bytes: int
    size_bytes: int
    executable: bool
    """Whether a regular file's Unix mode has an execute bit."""
    data_offset: int
    """Where the data begins in the archive."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What the directory says of an entry."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc32: int
    size_bytes: int
    compressed_bytes: int


class Archive:
    """A wheel's archive. It holds no file open between calls; several threads may use it at once.

    Raises:
        UntrustedInputError: the archive is broken, uses what wheels cannot have, or could be read in two ways.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        """Of the wheel, for messages."""
        self._path = path
        with self._opened() as descriptor:
            self._size_bytes = os.fstat(descriptor).st_size
            self.entries = self._read_entries(descriptor)

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """The entry's data as it stands in the archive, in pieces of at most `PIECE_BYTES`."""
        offset, end = entry.data_offset, entry.data_offset + entry.compressed_bytes
        with self._opened() as descriptor:
            while offset < end:
                piece = self._at(descriptor, offset, min(PIECE_BYTES, end - offset))
                offset += len(piece)
                yield piece

    def inflated(self, entry: Entry) -> Iterator[bytes]:
        """The entry's content in pieces; sizes and CRC are checked when the end is reached."""
        crc, seen_bytes = 0, 0
        for data in self._inflate(entry) if entry.deflated else self.pieces(entry):
            crc = zlib.crc32(data, crc)
            seen_bytes += len(data)
            if seen_bytes > entry.size_bytes:
                raise self._broken(f"{entry.name} inflates to more than the {entry.size_bytes} bytes it declares")
            yield data
        if seen_bytes != entry.size_bytes:
            raise self._broken(f"{entry.name} has {seen_bytes} bytes, not the {entry.size_bytes} that it declares")
        if crc != entry.crc32:
            raise self._broken(f"{entry.name} has the CRC {crc:08x}, not {entry.crc32:08x} as declared")

    def read(self, entry: Entry, *, limit_bytes: int) -> bytes:
        """The entry's whole content, which must not be larger than `limit_bytes`."""
        if entry.size_bytes > limit_bytes:
            raise self._broken(f"{entry.name} is larger than the {limit_bytes} bytes that it may have")
        return b"".join(self.inflated(entry))

    def start(self, entry: Entry, length_bytes: int) -> bytes:
        """The first bytes of the content, unchecked; fewer if the file is shorter."""
        with self._opened() as descriptor:
            raw = self._at(descriptor, entry.data_offset, min(entry.compressed_bytes, max(length_bytes, 512)))
        if not entry.deflated:
            return raw[:length_bytes]
        try:
            return bytes(isal_zlib.decompressobj(-15).decompress(raw, length_bytes))
        except isal_zlib.error as error:  # type: ignore[misc]  # its stubs lack the base class
            raise self._broken(f"{entry.name} has a broken compressed stream ({error})") from error

    def _inflate(self, entry: Entry) -> Iterator[bytes]:
        inflater = isal_zlib.decompressobj(-15)
        for piece in self.pieces(entry):
            rest = piece
            if inflater.eof:
                raise self._broken(f"{entry.name} has bytes after its compressed stream")
            held = True  # all input may be taken while output that was over the limit is still held back
            while (rest or held) and not inflater.eof:
                try:
                    data = inflater.decompress(rest, _PIECE_BYTES)
                except isal_zlib.error as error:  # type: ignore[misc]  # its stubs lack the base class
                    raise self._broken(f"{entry.name} has a broken compressed stream ({error})") from error
                rest, held = inflater.unconsumed_tail, len(data) == _PIECE_BYTES
                if data:
                    yield data
        if not inflater.eof or inflater.unused_data:
            raise self._broken(f"{entry.name} is not one complete compressed stream")

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _at(self, descriptor: int, offset: int, length_bytes: int) -> bytes:
        data = os.pread(descriptor, length_bytes, offset)
        if len(data) < length_bytes:
            raise self._broken("it ends in the middle")
        return data

    def _broken(self, what: str) -> UntrustedInputError:
        return UntrustedInputError(
            f"the wheel {self.name} is not acceptable: {what}",
            hint="the file is broken or hostile; choose another version, or tell its publisher",
        )

    def _read_entries(self, descriptor: int) -> tuple[Entry, ...]:
        tail_bytes = min(self._size_bytes, FOUND_BYTES)
        read_at = functools.partial(self._at, descriptor)
        tail = read_at(self._size_bytes - tail_bytes, tail_bytes)
        directory = find_directory(tail, self._size_bytes, read_at)
        if isinstance(directory, str):
            raise self._broken(directory)
        found = sorted(self._walk(descriptor, directory), key=lambda item: item[1])
        for (before, _, end), (after, start, _) in itertools.pairwise(found):
            if start < end:
                raise self._broken(f"{before.name} and {after.name} overlap")
        if found and found[-1][2] > directory.offset:
            raise self._broken(f"{found[-1][0].name} overlaps the directory")
        entries = [entry for entry, _, _ in found]
        self._check_names(entries)
        if sum(entry.size_bytes for entry in entries) > _MAX_TOTAL_BYTES:
            raise self._broken(f"it declares more than {_MAX_TOTAL_BYTES >> 30} GiB of content")
        return tuple(sorted((entry for entry in entries if entry.name[-1] != "/"), key=lambda entry: entry.name))

    def _check_names(self, entries: list[Entry]) -> None:
        files: set[str] = set()
        folders: set[str] = set()
        for entry in entries:
            name = entry.name.rstrip("/")
            if name in files or (entry.name in folders and entry.name[-1] == "/"):
                raise self._broken(f"{name} is in it twice")
            (folders if entry.name[-1] == "/" else files).add(entry.name)
        parents = {folder.rstrip("/") for folder in folders}
        for name in files:
            parents.update(name[: match.start()] for match in re.finditer("/", name))
        if both := files & parents:
            raise self._broken(f"{min(both)} is both a file and a folder")

    def _walk(self, descriptor: int, directory: Directory) -> Iterator[tuple[Entry, int, int]]:
        """Each entry with the offsets at which it begins and ends."""
        data = self._at(descriptor, directory.offset, directory.size_bytes)
        at = 0
        for _ in range(directory.entries):
            if at + _CENTRAL.size > len(data) or data[at : at + 4] != b"PK\x01\x02":
                raise self._broken("its directory is broken")
            fields = _CENTRAL.unpack_from(data, at)
            name_bytes, extra_bytes, comment_bytes = fields[12:15]
            at += _CENTRAL.size
            raw_name = data[at : at + name_bytes]
            extra = data[at + name_bytes : at + name_bytes + extra_bytes]
            at += name_bytes + extra_bytes + comment_bytes
            if at > len(data):
                raise self._broken("its directory is broken")
            yield self._entry(descriptor, fields, raw_name, extra, directory.offset)
        if at != len(data):
            raise self._broken("its directory has more entries than it says")

    def _entry(
        self, descriptor: int, fields: tuple[int, ...], raw_name: bytes, extra: bytes, limit: int
    ) -> tuple[Entry, int, int]:
        flags, method, crc32 = fields[5], fields[6], fields[9]
        name = self._decoded(raw_name, flags, extra)
        sizes = zip64_sizes(extra, size=fields[11], compressed=fields[10], offset=fields[18])
        if sizes is None:
            raise self._broken(f"{name} has a broken ZIP64 field")
        size_bytes, compressed_bytes, offset = sizes
        self._check_kind(name, flags, method, fields[17] >> 16)
        deflated = method == _DEFLATED
        if size_bytes > (compressed_bytes * _MAX_DEFLATE_RATIO if deflated else compressed_bytes):
            raise self._broken(f"{name} declares {size_bytes} bytes, more than its data can hold")
        if not deflated and size_bytes != compressed_bytes:
            raise self._broken(f"{name} is stored, yet declares two sizes")
        if name[-1] == "/" and size_bytes:
            raise self._broken(f"the folder {name} has content")
        if offset + _LOCAL.size > limit:
            raise self._broken(f"{name} lies outside the archive")
        head = self._at(descriptor, offset, min(_LOCAL_READ_BYTES, limit - offset))
        needed_bytes = _LOCAL.size + sum(_LOCAL.unpack_from(head)[9:11])
        if needed_bytes > len(head):
            head = self._at(descriptor, offset, min(needed_bytes, limit - offset))
        said = _Said(name, raw_name, flags, method, crc32, size_bytes, compressed_bytes)
        data_offset = offset + self._check_local(said, head)
        if flags & _DESCRIPTOR_FOLLOWS:
            self._check_descriptor(said, os.pread(descriptor, 24, data_offset + compressed_bytes))
        end = data_offset + compressed_bytes
        if end > limit:
            raise self._broken(f"{name} lies outside the archive")
        mode = fields[17] >> 16
        executable = stat.S_ISREG(mode) and bool(mode & 0o111)
        return Entry(name, deflated, crc32, compressed_bytes, size_bytes, executable, data_offset), offset, end

    def _check_kind(self, name: str, flags: int, method: int, mode: int) -> None:
        if flags & _ENCRYPTED:
            raise self._broken(f"{name} is encrypted")
        if method not in (_STORED, _DEFLATED):
            raise self._broken(
                f"{name} is compressed with {_METHODS.get(method, f'method {method}')}; "
                "wheels are stored or deflated (PEP 427)"
            )
        kind = stat.S_IFMT(mode)
        if kind == stat.S_IFLNK:
            raise self._broken(f"{name} is a symbolic link")
        if kind not in (0, stat.S_IFREG) and not (kind == stat.S_IFDIR and name[-1] == "/"):
            raise self._broken(f"{name} is neither a file nor a folder")

    def _check_local(self, said: _Said, head: bytes) -> int:
        """Compare a local header with what the directory says; returns how long it is."""
        if head[:4] != b"PK\x03\x04":
            raise self._broken(f"{said.name} has no local header")
        _, _, flags, method, _, _, crc32, compressed_bytes, size_bytes, name_bytes, extra_bytes = _LOCAL.unpack_from(
            head
        )
        end: int = _LOCAL.size + name_bytes
        if head[_LOCAL.size : end] != said.raw_name:
            raise self._broken(f"{said.name} has another name in its local header")
        if end + extra_bytes > len(head):
            raise self._broken(f"the local header of {said.name} is too long")
        sizes = zip64_sizes(head[end : end + extra_bytes], size=size_bytes, compressed=compressed_bytes, offset=0)
        found = (flags, method, crc32, *(sizes or (-1, -1))[:2])
        deferred = said.flags & _DESCRIPTOR_FOLLOWS and found == (said.flags, said.method, 0, 0, 0)
        if found != (said.flags, said.method, said.crc32, said.size_bytes, said.compressed_bytes) and not deferred:
            raise self._broken(f"the local header of {said.name} disagrees with the directory")
        return end + int(extra_bytes)

    def _check_descriptor(self, said: _Said, following: bytes) -> None:
        """Compare the data descriptor, which may lack its signature and be narrow or wide, with the directory."""
        wanted = [struct.pack("<LQQ", said.crc32, said.compressed_bytes, said.size_bytes)]
        if max(said.compressed_bytes, said.size_bytes) <= 0xFFFFFFFF:  # noqa: PLR2004
            wanted.append(struct.pack("<LLL", said.crc32, said.compressed_bytes, said.size_bytes))
        if not following.removeprefix(b"PK\x07\x08").startswith(tuple(wanted)) and not following.startswith(
            tuple(wanted)
        ):
            raise self._broken(f"the data descriptor of {said.name} disagrees with the directory")

    def _decoded(self, raw: bytes, flags: int, extra: bytes) -> str:
        try:
            name = raw.decode("utf-8" if flags & _UTF8 else "cp437")
        except UnicodeDecodeError as error:
            raise self._broken(f"the name {raw!r} is not UTF-8") from error
        if any(kind == _UNICODE_PATH and field[5:] != name.encode() for kind, field in _extra_fields(extra)):
            raise self._broken(f"{name!r} has a second name")
        if problem := _name_problem(name):
            raise self._broken(f"the name {name!r} {problem}")
        return name


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _name_problem(name: str) -> str:
    """Why `name` cannot be a path below the folder that a wheel is installed into, or ""."""
    if "\\" in name:
        return "has a backslash"
    if "\0" in name:
        return "has a NUL"
    if name.startswith("/") or _DRIVE.match(name):
        return "is absolute"
    components = name.removesuffix("/").split("/")
    if any(component in ("", ".", "..") for component in components):
        return "has an empty, '.' or '..' component"
    encoded = [len(component.encode()) for component in components]
    if max(encoded) > _MAX_COMPONENT_BYTES or sum(encoded) + len(encoded) > _MAX_NAME_BYTES:
        return "is too long for a file system"
    return f"has more than {_MAX_DEPTH} folders" if len(encoded) > _MAX_DEPTH else ""
