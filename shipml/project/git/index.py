"""The index: what git last knew of every tracked file (gitformat-index(5), versions 2 to 4, split ones too)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from shipml.project.git.bounded import GitError, read_file
from shipml.project.git.layout import Repository

__all__ = ["SPECIAL", "Entry", "Index", "read_index"]

_LIMIT_BYTES = 256 << 20
_ASSUME_VALID, _EXTENDED, _STAGE = 0x8000, 0x4000, 0x3000
SPECIAL = _ASSUME_VALID | _EXTENDED | _STAGE
"""The flags without which an entry is an ordinary one."""
_SKIP_WORKTREE, _INTENT_TO_ADD = 0x4000, 0x2000
_WITH_PREFIXES = 4
_EMPTY = b"DIRC\x00\x00\x00\x02\x00\x00\x00\x00"
_DAMAGED = "the index of its repository is damaged"


class Entry(NamedTuple):
    """A tracked file, as it was when git last looked; a tuple, as there may be a million."""

    path: bytes
    mode: int
    oid: bytes
    ctime_ns: int
    mtime_ns: int
    """Since 1970; whole seconds where git knows no better."""
    inode: int
    """Its low 32 bits."""
    size_bytes: int
    """Its low 32 bits; 0 where git does not know."""
    flags: int
    more_flags: int

    @property
    def is_conflict(self) -> bool:
        """Whether a merge left it open."""
        return bool(self.flags & _STAGE)

    @property
    def is_assumed_valid(self) -> bool:
        """Whether the user said that it counts as unchanged."""
        return bool(self.flags & _ASSUME_VALID)

    @property
    def is_outside(self) -> bool:
        """Whether a sparse checkout leaves it out."""
        return bool(self.more_flags & _SKIP_WORKTREE)

    @property
    def is_intended(self) -> bool:
        """Whether it is announced with `git add -N`."""
        return bool(self.more_flags & _INTENT_TO_ADD)


@dataclass(frozen=True, slots=True)
class Index:
    """All entries, sorted by path, and when the file was written."""

    entries: tuple[Entry, ...]
    written_at_ns: int


def read_index(repository: Repository) -> Index:
    """The repository's index; empty where there is none.

    Raises:
        GitError: it is damaged or too large.
    """
    path = repository.git / "index"
    data = read_file(path, _LIMIT_BYTES)
    if data is None:
        return Index((), 0)
    written_at_ns = path.stat().st_mtime_ns
    try:
        entries, link = _parse(data, repository.oid_bytes)
        if link is not None and any(link[: repository.oid_bytes]):
            shared = repository.git / f"sharedindex.{link[: repository.oid_bytes].hex()}"
            base, _ = _parse(read_file(shared, _LIMIT_BYTES) or _EMPTY, repository.oid_bytes)
            entries = _joined(base, entries, link[repository.oid_bytes :])
    except (struct.error, IndexError, ValueError) as error:
        raise GitError(_DAMAGED) from error
    return Index(tuple(entries), written_at_ns)


def _parse(data: bytes, oid_bytes: int) -> tuple[list[Entry], bytes | None]:
    """The entries, and the content of the extension that names a shared index."""
    magic, version, count = struct.unpack_from(">4sLL", data)
    if magic != b"DIRC" or version not in (2, 3, _WITH_PREFIXES) or count > len(data) // 40:
        raise GitError(_DAMAGED)
    head = struct.Struct(f">LLLL4xLL8xL{oid_bytes}sH")
    entries: list[Entry] = []
    at, path = 12, b""
    for _ in range(count):
        start = at
        c_seconds, c_nano, m_seconds, m_nano, inode, mode, size, oid, flags = head.unpack_from(data, at)
        at += head.size
        more = 0
        if flags & _EXTENDED:
            more = int.from_bytes(data[at : at + 2])
            at += 2
        if version == _WITH_PREFIXES:
            drop, at = _drop(data, at)
            path = path[: len(path) - drop] if drop <= len(path) else b""
            end = data.index(b"\0", at)
            path += data[at:end]
            at = end + 1
        else:
            end = data.index(b"\0", at)
            path = data[at:end]
            at = start + (end - start + 8) // 8 * 8
        ctime_ns, mtime_ns = c_seconds * 10**9 + c_nano, m_seconds * 10**9 + m_nano
        entries.append(Entry(path, mode, oid, ctime_ns, mtime_ns, inode, size, flags, more))
    return entries, _link(data, at, oid_bytes)


def _drop(data: bytes, at: int) -> tuple[int, int]:
    """How much of the path before goes (the number of offset deltas in packs), and where that ends."""
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = (value + 1) << 7 | data[at] & 0x7F
        if value > _LIMIT_BYTES:
            raise GitError(_DAMAGED)
    return value, at + 1


def _link(data: bytes, at: int, oid_bytes: int) -> bytes | None:
    while at + 8 <= len(data) - oid_bytes:
        name, size = struct.unpack_from(">4sL", data, at)
        if name == b"link":
            return data[at + 8 : at + 8 + size]
        at += 8 + size
    return None


def _joined(base: list[Entry], entries: list[Entry], bitmaps: bytes) -> list[Entry]:
    """The shared entries with the changes of the index itself (gitformat-index(5), "Split index")."""
    gone, at = _bits(bitmaps, 0, len(base))
    changed, _ = _bits(bitmaps, at, len(base))
    fresh = iter(entries)
    kept = []
    for number, entry in enumerate(base):
        one = _replaced(next(fresh), entry) if number in changed else entry
        if number not in gone:
            kept.append(one)
    return sorted([*kept, *fresh], key=lambda one: (one.path, one.flags & _STAGE))


def _replaced(entry: Entry, before: Entry) -> Entry:
    """An entry that stands for one of the shared index, whose name it leaves out."""
    return entry if entry.path else entry._replace(path=before.path)


def _bits(data: bytes, at: int, count: int) -> tuple[set[int], int]:
    """The numbers below `count` that are set in a compressed bitmap (EWAH), and where it ends."""
    _, words = struct.unpack_from(">LL", data, at)
    at += 8
    end = at + 8 * words
    found: set[int] = set()
    position = 0
    while at < end and position < count:
        (marker,) = struct.unpack_from(">Q", data, at)
        at += 8
        same, literals = marker >> 1 & 0xFFFFFFFF, marker >> 33
        if marker & 1:
            found.update(range(position, min(count, position + 64 * same)))
        position += 64 * same
        for _ in range(min(literals, (count - position) // 64 + 1)):
            (word,) = struct.unpack_from(">Q", data, at)
            at += 8
            found.update(position + bit for bit in range(64) if word >> bit & 1)
            position += 64
    return found, end + 4
