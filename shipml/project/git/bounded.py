"""Bounded reading: regular files only, none larger than expected, and an end to all of it."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Deadline", "GitError", "read_file", "read_line"]

_LINE_BYTES = 16 << 10
_TIMEOUT_SECONDS = 20.0


class GitError(Exception):
    """The repository cannot be read; the text says why and is fit for a user."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When reading one repository has to be over."""

    at_seconds: float = field(default_factory=lambda: time.monotonic() + _TIMEOUT_SECONDS)

    def check(self) -> None:
        """Raise GitError once the time is over."""
        if time.monotonic() > self.at_seconds:
            raise GitError(f"its repository took longer than {_TIMEOUT_SECONDS:g} s to read")


def read_file(path: Path, limit_bytes: int, *, follow: bool = True) -> bytes | None:
    """The bytes of a file; None where there is none that can be read.

    Args:
        path: the file.
        limit_bytes: the most that it may hold.
        follow: whether a symbolic link counts as what it points to; else as missing.

    Raises:
        GitError: it is larger, or not a regular file.
    """
    try:  # without O_NONBLOCK, opening a named pipe would wait for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            return None
        if not stat.S_ISREG(found.st_mode):
            raise GitError(f"{path.name} in its repository is not a regular file")
        if found.st_size > limit_bytes:
            raise GitError(f"{path.name} in its repository is larger than {limit_bytes >> 10} KiB")
        data = bytearray()
        while len(data) <= limit_bytes and (part := stream.read(limit_bytes + 1 - len(data))):
            data += part
    if len(data) > limit_bytes:
        raise GitError(f"{path.name} in its repository is larger than {limit_bytes >> 10} KiB")
    return bytes(data)


def read_line(path: Path) -> str | None:
    """The one line that a small file holds, without the space around it; None where there is no such file.

    Raises:
        GitError: it is not a small regular file.
    """
    data = read_file(path, _LINE_BYTES)
    return None if data is None else os.fsdecode(data).strip()
