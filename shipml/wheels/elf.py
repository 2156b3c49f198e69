"""Which shared libraries the ELF files of a wheel need (System V ABI, chapters 4 and 5).

Only what the loader reads is read: header, program headers and dynamic segment. Section headers, where general readers
start, stand at the end of a file, which would have to be inflated whole and kept: torch has one of 400 MB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from shipml.wheels.archive import Archive, Entry

__all__ = ["MACHINES", "ElfFile", "elf_files", "soname_of"]

MACHINES = MappingProxyType({62: "amd64", 183: "arm64", 21: "ppc64le", 243: "riscv64"})
"""Architecture (Go's name) by e_machine."""

_MAGIC = b"\x7fELF"
_TEXT_SUFFIXES = (".py", ".pyi", ".txt", ".h", ".hpp", ".cuh", ".json", ".csv", ".md", ".rst", ".html", ".pyx", ".pxd")
_HEADER = struct.Struct("<16xHHLQQQLHHH")
_SEGMENT = struct.Struct("<LLQQQQ16x")
_TAG = struct.Struct("<QQ")
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRING_TABLE, _SONAME = 1, 5, 14
_64_BIT_LITTLE_ENDIAN = b"\2\1"
_SHARED_OBJECT = 3
_LOADED_KINDS = (2, _SHARED_OBJECT)
"""Programs and shared objects; what a linker or debugger reads needs no library."""
_MAX_SEGMENTS, _MAX_DYNAMIC_BYTES, _MAX_NAME_BYTES = 256, 1 << 20, 256


@dataclass(frozen=True, slots=True)
class ElfFile:
    """What one ELF file says to the loader."""

    name: str
    """In the wheel."""
    machine: str
    """Architecture in Go's names, `machine 0x…` or "32-bit or big-endian"."""
    soname: str
    """Its own; "" where it has none."""
    needed: tuple[str, ...]
    """Sonames of the libraries that it needs, in its order."""


def elf_files(archive: Archive) -> Iterator[ElfFile]:
    """The ELF files of a wheel; files that only begin like one are left out."""
    for entry in archive.entries:
        if entry.size_bytes < _HEADER.size or entry.name.endswith(_TEXT_SUFFIXES):
            continue
        start = archive.start(entry, _HEADER.size)
        if not start.startswith(_MAGIC) or len(start) < _HEADER.size:
            continue
        (kind, machine, *_) = _HEADER.unpack(start)
        name = MACHINES.get(machine, f"machine {machine:#x}")
        if start[4:6] != _64_BIT_LITTLE_ENDIAN:
            yield ElfFile(entry.name, "32-bit or big-endian", "", ())
            continue
        if kind not in _LOADED_KINDS:
            continue
        found = _dynamic(_Ranges(archive, entry), start)
        if found is not None:
            yield ElfFile(entry.name, name, *found)


def soname_of(data: bytes) -> str | None:
    """What a shared object calls itself; "" where it has no name of its own, None where it is not one."""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC) or data[4:6] != _64_BIT_LITTLE_ENDIAN:
        return None
    if _HEADER.unpack_from(data)[0] != _SHARED_OBJECT:
        return None
    found = _dynamic(_Bytes(data), data[: _HEADER.size])
    return None if found is None else found[0]


class _Content(Protocol):
    """Of an ELF file."""

    def read(self, offset: int, size_bytes: int) -> bytes:
        """At most `size_bytes` bytes from `offset`; fewer at the file's end."""


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Content that is in memory."""

    data: bytes

    def read(self, offset: int, size_bytes: int) -> bytes:
        return self.data[offset : offset + size_bytes]


class _Ranges:
    """Reads ranges of an entry's content, forward at no extra cost, backward by inflating again."""

    def __init__(self, archive: Archive, entry: Entry) -> None:
        self._archive = archive
        self._entry = entry
        self._start_over()

    def _start_over(self) -> None:
        self._pieces = self._archive.inflated(self._entry)
        self._window = b""
        self._at = 0

    def read(self, offset: int, size_bytes: int) -> bytes:
        """At most `size_bytes` bytes from `offset`; fewer at the file's end."""
        if offset >= self._entry.size_bytes:
            return b""
        if offset < self._at:
            self._start_over()
        while self._at + len(self._window) < offset + size_bytes:
            piece = next(self._pieces, None)
            if piece is None:
                break
            keep = min(max(offset - self._at, 0), len(self._window))
            self._window = self._window[keep:] + piece
            self._at += keep
            if self._at + len(self._window) <= offset:
                self._at += len(self._window)
                self._window = b""
        begin = offset - self._at
        return self._window[begin : begin + size_bytes]


def _dynamic(content: _Content, start: bytes) -> tuple[str, tuple[str, ...]] | None:
    """Soname and needed libraries; None where the file is broken."""
    _, _, _, _, segments_offset, _, _, _, segment_bytes, count = _HEADER.unpack(start)
    if segment_bytes != _SEGMENT.size or not 0 < count <= _MAX_SEGMENTS:
        return None if count else ("", ())
    table = content.read(segments_offset, segment_bytes * count)
    if len(table) < segment_bytes * count:
        return None
    segments = [_SEGMENT.unpack_from(table, index * segment_bytes) for index in range(count)]
    dynamic = next((segment for segment in segments if segment[0] == _DYNAMIC), None)
    if dynamic is None:
        return "", ()  # statically linked
    tags = _tags(content.read(dynamic[2], min(dynamic[5], _MAX_DYNAMIC_BYTES)))
    address = next((value for tag, value in tags if tag == _STRING_TABLE), None)
    strings = None if address is None else _file_offset(address, segments)
    if strings is None:
        return None
    names = {
        value: _name(content.read(strings + value, _MAX_NAME_BYTES))
        for value in sorted({value for tag, value in tags if tag in (_NEEDED, _SONAME)})
    }
    if None in names.values():
        return None
    soname = next((names[value] for tag, value in tags if tag == _SONAME), "")
    return soname or "", tuple(names[value] or "" for tag, value in tags if tag == _NEEDED)


def _tags(data: bytes) -> list[tuple[int, int]]:
    found = []
    for tag, value in _TAG.iter_unpack(data[: len(data) // _TAG.size * _TAG.size]):
        if tag == 0:
            break
        found.append((tag, value))
    return found


def _file_offset(address: int, segments: list[tuple[int, ...]]) -> int | None:
    for kind, _, offset, virtual, _, file_bytes in segments:
        if kind == _LOAD and virtual <= address < virtual + file_bytes:
            return offset + address - virtual
    return None


def _name(data: bytes) -> str | None:
    name, nul, _ = data.partition(b"\0")
    try:
        return name.decode() if nul else None
    except UnicodeDecodeError:
        return None
