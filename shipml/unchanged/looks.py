"""How files and folders look without being read, as in git's index: what looks the same holds the same."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass

__all__ = ["Look", "look_at", "look_into"]

_SECOND_NS = 1_000_000_000
_COARSE_NS = 2 * _SECOND_NS
"""File systems that keep whole seconds keep only every other one, at worst."""
_FINE_NS = _SECOND_NS // 10
_OF_GIT = frozenset({b".git"})
"""What counts of it is read file by file; every command of git makes and removes a file there."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a file, or what lies in a folder, looks."""

    words: str
    """Of a file: mode, size, times of change and inode; of a folder: those of its entries; "" where there is none."""
    changed_ns: int = 0
    """When it was last changed (POSIX time)."""

    def is_settled(self, now_ns: int) -> bool:
        """Whether its next change gives it another time, and so another look; git calls what is not settled racy."""
        margin_ns = _FINE_NS if self.changed_ns % _SECOND_NS else _COARSE_NS
        return now_ns - self.changed_ns > margin_ns


def look_at(path: str) -> Look:
    """How a file looks; links are followed."""
    try:
        found = os.stat(path)  # noqa: PTH116  (every build with nothing changed does this hundreds of times)
    except (OSError, ValueError):
        return Look("")
    return Look(_words(found), _changed_ns(found))


def look_into(path: str) -> Look:
    """How the entries of a folder look: of inner folders, which names they have; links are not followed."""
    try:
        with os.scandir(path) as entries:
            found = sorted((os.fsencode(entry.name), entry.stat(follow_symlinks=False)) for entry in entries)
    except (OSError, ValueError):
        return Look("")
    digest = hashlib.sha256()
    changed_ns = 0
    for name, entry in found:
        if name in _OF_GIT and stat.S_ISDIR(entry.st_mode):
            digest.update(b"%s\0%d\n" % (name, entry.st_ino))
            continue
        digest.update(b"%s\0%s\n" % (name, _words(entry).encode()))
        changed_ns = max(changed_ns, _changed_ns(entry))
    return Look(digest.hexdigest(), changed_ns)


def _words(found: os.stat_result) -> str:
    return f"{found.st_mode:o} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _changed_ns(found: os.stat_result) -> int:
    return max(found.st_mtime_ns, found.st_ctime_ns)
