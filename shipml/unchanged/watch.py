"""What a build reads of the file system, seen by Python's own audit events, so that nothing can be forgotten."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shipml.unchanged.looks import Look, look_at, look_into

__all__ = ["Watch", "watching"]

_OUTSIDE = frozenset(
    {"subprocess.Popen", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty", "os.exec"}
    | {"socket.getaddrinfo", "socket.connect"}
)
_NO_READING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_DIRECTORY


@dataclass(slots=True)
class Watch:
    """What was read since the watch began, as it looked just before."""

    ignored: tuple[str, ...]
    """Beginnings of paths that do not count."""
    files: dict[str, Look] = field(default_factory=dict)
    folders: dict[str, Look] = field(default_factory=dict)
    went_outside: bool = False
    """Whether a program was started or a network asked: what came of that is nowhere to be seen."""
    is_over: bool = False
    """Whether the rest of what is read does not matter any more."""
    _looking: threading.local = field(default_factory=threading.local)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what an audit event tells."""
        if self.is_over:
            return
        if event == "open":
            path, _, flags = arguments
            if not flags & _NO_READING:
                self._note(path, self.files, look_at)
        elif event in {"os.listdir", "os.scandir"}:
            self._note(arguments[0] or ".", self.folders, look_into)
        elif event in _OUTSIDE and not (event == "socket.connect" and isinstance(arguments[1], str | bytes)):
            self.went_outside = self.is_over = True  # the address of a Unix socket, such as the engine's, is text

    def _note(self, given: object, noted: dict[str, Look], look: Any) -> None:  # noqa: ANN401
        if isinstance(given, int) or getattr(self._looking, "now", False):
            return
        path = os.path.abspath(os.fsdecode(given))  # type: ignore[arg-type]  # noqa: PTH100
        if path in noted or f"{path}{os.sep}".startswith(self.ignored):
            return
        self._looking.now = True
        try:
            noted[path] = look(path)
        finally:
            self._looking.now = False


_watches: list[Watch] = []
"""At most one. An audit hook cannot be removed: it hears nothing while the list is empty."""
_hooked: list[bool] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    for watch in _watches:
        watch.hear(event, arguments)


@contextmanager
def watching(ignored: Sequence[str]) -> Iterator[Watch]:
    """Watch what this process reads in the block; what lies below the folders `ignored` does not count."""
    watch = Watch(tuple(f"{folder}{os.sep}" for folder in ignored))
    if not _hooked:
        sys.addaudithook(_hear)
        _hooked.append(True)
    _watches.append(watch)
    try:
        yield watch
    finally:
        _watches.remove(watch)
