"""Where a zip archive's central directory lies (PKWARE APPNOTE 6.3.10, sections 4.3.14 to 4.3.16 and 4.5.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FOUND_BYTES", "Directory", "find_directory", "zip64_sizes"]

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
FOUND_BYTES = _END.size + 0xFFFF + _LOCATOR.size + _END64.size
"""How much of an archive's end `find_directory` wants to see."""
_ALL_16, _ALL_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64 = 1
_MAX_DIRECTORY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Directory:
    """The central directory."""

    offset: int
    size_bytes: int
    entries: int


def find_directory(  # noqa: PLR0911  (one sentence for each way of being broken)
    tail: bytes, archive_bytes: int, read_at: Callable[[int, int], bytes]
) -> Directory | str:
    """Find the directory by the archive's last bytes; a sentence where it is broken or has junk around it."""
    at = _end_record(tail)
    if at is None:
        return "it has no zip directory, or something follows it"
    end_offset = archive_bytes - len(tail) + at
    _, disk, start_disk, here, entries, size_bytes, offset, _ = _END.unpack_from(tail, at)
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(b"PK\x06\x07"):
        _, _, end64_offset, disks = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        if disks > 1 or end64_offset + _END64.size + _LOCATOR.size != end_offset:
            return "its ZIP64 directory is not where it should be"
        record = _END64.unpack(read_at(end64_offset, _END64.size))
        if record[0] != b"PK\x06\x06" or record[1] != _END64.size - 12:
            return "its ZIP64 directory is broken"
        wide = record[4:10]
        for narrow, full, mask in zip(
            (disk, start_disk, here, entries, size_bytes, offset), wide, (_ALL_16,) * 4 + (_ALL_32,) * 2, strict=True
        ):
            if narrow not in (mask, full):
                return "its two directory records disagree"
        disk, start_disk, here, entries, size_bytes, offset = wide
        end_offset = end64_offset
    if disk or start_disk or here != entries:
        return "it is split over several disks"
    if size_bytes > _MAX_DIRECTORY_BYTES:
        return f"its directory declares {size_bytes} bytes"
    if offset + size_bytes != end_offset:
        return "its directory is not where it should be: there is junk before or within the archive"
    return Directory(offset, size_bytes, entries)


def _end_record(tail: bytes) -> int | None:
    """Where the end record begins in `tail`: the last one whose comment ends with the archive."""
    at = len(tail) - _END.size
    while (at := tail.rfind(b"PK\x05\x06", 0, at + 4)) >= 0:
        if at + _END.size + struct.unpack_from("<H", tail, at + 20)[0] == len(tail):
            return at
        at -= 1
    return None


def zip64_sizes(extra: bytes, *, size: int, compressed: int, offset: int) -> tuple[int, int, int] | None:
    """Size, compressed size and offset, each from the ZIP64 field where it is all ones; None if that is missing."""
    wide: list[int] = []
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _ZIP64:
            field = extra[at + 4 : at + 4 + length]
            wide = [value for (value,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
            break
        at += 4 + length
    values = []
    for value in (size, compressed, offset):
        if value != _ALL_32:
            values.append(value)
        elif wide:
            values.append(wide.pop(0))
        else:
            return None
    return values[0], values[1], values[2]
