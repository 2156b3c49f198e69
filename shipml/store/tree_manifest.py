"""Whether an unpacked tree still is what was unpacked: what every path in it was, written down when it was made.

A glance compares modes, sizes and times, which any edit changes. Where only a file's identity changed (a copied store,
another hard link), or the machine was started again since (a power cut loses bytes, but not times), contents decide.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import TypeAlias

__all__ = ["TreeManifest", "describe_tree"]

_VERSION = 1
_BLOCK_BYTES = 1 << 20

_Entry: TypeAlias = tuple[int, int, int, int, int, str]
"""Mode, size in bytes, mtime and ctime in ns, inode, content. Size and ctime of folders are 0: they say nothing."""


@dataclass(frozen=True, slots=True)
class TreeManifest:
    """Every path below a folder; "" is the folder itself."""

    entries: dict[str, _Entry]
    boot: str
    """Of the machine, when the contents were last known to be right."""

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return json.dumps({"version": _VERSION, "boot": self.boot, "entries": self.entries}).encode()

    @classmethod
    def parse(cls, data: bytes) -> TreeManifest | None:
        """What `to_bytes` gave; None for everything else."""
        try:
            document = json.loads(data)
            if document["version"] != _VERSION:
                return None
            return cls(dict(document["entries"]), str(document["boot"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    @property
    def needs_reading(self) -> bool:
        """Whether the machine was started again since the contents were known to be right."""
        return self.boot != _boot()

    def seems_whole(self, folder: Path) -> bool:
        """Whether every path has the mode, size, times and inode that it had: cheap, and true unless it was touched."""
        start, lstat = f"{folder}/", os.lstat  # there are thousands, in each run
        try:
            for path, (mode, size, modified, changed, inode, _) in self.entries.items():
                found = lstat(start + path)
                if found.st_mode != mode or found.st_ino != inode or found.st_mtime_ns != modified:
                    return False
                if not S_ISDIR(mode) and (found.st_ctime_ns != changed or found.st_size != size):
                    return False
        except (OSError, ValueError, TypeError):  # missing, or a damaged manifest
            return False
        return True

    def first_difference(self, now: TreeManifest) -> str | None:
        """The first path of another mode, time or content `now`, or that is missing or new; None: all are right."""
        for path in sorted({*self.entries, *now.entries}):
            was, found = self.entries.get(path), now.entries.get(path)
            if was is None or found is None or _substance(was) != _substance(found):
                return path or "."
        return None


def describe_tree(folder: Path) -> TreeManifest:
    """What is in a folder now; every file is read.

    Raises:
        OSError: something cannot be read.
    """
    return TreeManifest({path: _describe(_at(folder, path)) for path in _paths(folder)}, _boot())


def _paths(folder: Path) -> Iterator[str]:
    """Relative to the folder, itself ("") first; links are not followed."""
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        yield parent
        with os.scandir(_at(folder, parent)) as entries:
            for entry in entries:
                path = f"{parent}/{entry.name}" if parent else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                else:
                    yield path


def _at(folder: Path, path: str) -> str:
    return f"{folder}/{path}"


def _describe(path: str) -> _Entry:
    looks = _looks(found := os.lstat(path))
    if stat.S_ISLNK(found.st_mode):
        return (*looks, os.readlink(path))  # noqa: PTH115  (thousands of them: quicker)
    if not stat.S_ISREG(found.st_mode):
        return (*looks, "")
    hasher = hashlib.sha256()
    with open(path, "rb", buffering=0, opener=_unmoved) as stream:
        while block := stream.read(_BLOCK_BYTES):
            hasher.update(block)
    # base64: hexadecimal digests in the store's documents are names of blobs
    return (*looks, base64.b64encode(hasher.digest()).decode())


def _unmoved(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _looks(found: os.stat_result) -> tuple[int, int, int, int, int]:
    if stat.S_ISDIR(found.st_mode):
        return found.st_mode, 0, found.st_mtime_ns, 0, found.st_ino
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _substance(entry: Sequence[object]) -> list[object]:
    """Without what a copy changes, too: mode, size, mtime and content, of an entry or of what stands in its place."""
    return [*entry[:3], *entry[5:]] if isinstance(entry, list | tuple) else [entry]


def _boot() -> str:
    """Of this start of the machine; "" where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
