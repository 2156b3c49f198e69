"""Builds a project again where its files have changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from shipml.errors import ShipmlError
from shipml.events import Emit, Notice
from shipml.oci.image import Image
from shipml.project import watched_files
from shipml.text import listed

__all__ = ["ProjectWatcher"]

_PAUSE_SECONDS = 1.0
_SETTLE_SECONDS = 0.2


class ProjectWatcher:
    """Implements `runtimes.serve.Watcher`."""

    def __init__(self, folder: Path, build: Callable[[], Image], emit: Emit) -> None:
        """Changes count from now on: build before it is used."""
        self._folder = folder
        self._build = build
        self._emit = emit
        self._known = self._look({})
        self._looked_at = time.monotonic()
        self._digest = ""

    def next_image(self) -> Image | None:
        """See `runtimes.serve.Watcher`."""
        if time.monotonic() - self._looked_at < _PAUSE_SECONDS:
            return None
        before, now = self._known, self._look(self._known)
        self._looked_at = time.monotonic()
        if now == before:
            return None
        while now != (later := self._after_a_moment(now)):  # an editor or a checkout is still writing
            now = later
        self._known = now
        changed = sorted(path for path in {*before, *now} if before.get(path) != now.get(path))
        self._emit(Notice(f"{listed(changed, most=3)} changed: building again"))
        image = self._build()
        if str(image.digest) == self._digest:
            return None
        self._digest = str(image.digest)
        return image

    def _after_a_moment(self, known: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        time.sleep(_SETTLE_SECONDS)
        return self._look(known)

    def _look(self, known: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        """The files as they are; as `known` while the settings cannot be read, but for the settings themselves."""
        try:
            return watched_files(self._folder)
        except ShipmlError:
            broken = {}
            for name in ("shipml.toml", "pyproject.toml", ".dockerignore"):
                path = self._folder / name
                if path.is_file():
                    status = path.stat()
                    broken[name] = (status.st_mtime_ns, status.st_size)
            return {**known, **broken}
