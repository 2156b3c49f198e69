"""What is read of a project in one command: each file once, however many ask for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

__all__ = ["read_data", "read_regular", "reading_once"]


_LIMIT_BYTES = 16 << 20
_KEPT_BYTES = 128 << 20
"""Of all files together: a folder of data is not held in memory."""


class _Known(dict[Path, bytes]):
    """What was read, by path."""

    size_bytes = 0

    def keep(self, path: Path, data: bytes) -> None:
        if len(data) <= _LIMIT_BYTES and self.size_bytes + len(data) <= _KEPT_BYTES:
            self[path] = data
            self.size_bytes += len(data)


_KNOWN: ContextVar[_Known | None] = ContextVar("known", default=None)
"""What was read within the innermost `reading_once`; threads that were started inside read for themselves."""


@contextmanager
def reading_once() -> Iterator[None]:
    """Read each text file of a project once until the block ends: all readers see one state of it.

    Blocks inside another share what it has read.
    """
    if _KNOWN.get() is not None:
        yield
        return
    token = _KNOWN.set(_Known())
    try:
        yield
    finally:
        _KNOWN.reset(token)


def read_data(path: Path, limit_bytes: int = -1, *, follow_links: bool = True) -> bytes:
    """The first `limit_bytes` of a file (-1: all of it), known where the block of `reading_once` has read it before.

    Raises:
        OSError: it cannot be read; or it is a link, and links are not to be followed.
    """
    known = _KNOWN.get()
    if known is not None and path in known:
        return known[path]
    flags = os.O_RDONLY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    with os.fdopen(os.open(path, flags), "rb") as stream:
        data = stream.read(limit_bytes)
    if known is not None and (limit_bytes < 0 or len(data) < limit_bytes):
        known.keep(path, data)
    return data


def read_regular(path: Path, limit_bytes: int = 4 << 20) -> bytes | None:
    """The bytes of a settings file that anybody may have put there; None: it is missing, too large, or not a file.

    A named pipe would be waited for, and a device has no end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit_bytes:
            return None
        try:
            return stream.read(limit_bytes)
        except OSError:
            return None
