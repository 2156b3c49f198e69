"""Watches a build that goes the whole way, and keeps what it takes to answer the next one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shipml.dockerfile.names import find_dockerfile
from shipml.events import Emit, Event, Notice, StepFinished, StepStarted
from shipml.project import read_outline
from shipml.project.organisation import USUAL_FILE
from shipml.report import BuildReport
from shipml.session import Choose
from shipml.store import Store, default_home
from shipml.unchanged.known import KNOWN, LAYERS, Asked, Known, whole_image
from shipml.unchanged.looks import Look, look_at, look_into
from shipml.unchanged.tool import PACKAGE, library_folders, surroundings
from shipml.unchanged.watch import Watch, watching

__all__ = ["Memory", "remembering"]

_NOT_READ = ("blobs", "images", "in-use", "locks", "logs", "roots", "tmp", "tree-manifests", "uv")
"""What a build does not depend on in SHIPML_HOME: it has its names by content, or is asked again."""


@dataclass(slots=True)
class Memory:
    """Listens to a build that goes the whole way, and keeps what it takes to answer the next one."""

    asked: Asked
    _emit: Emit
    _watch: Watch
    """Empty where the next build cannot be answered anyway."""
    _surroundings: str
    _notices: list[Notice] = field(default_factory=list)
    _has_layers: bool = False
    _worked: bool = False

    def emit(self, event: Event) -> None:
        """Pass an event on; what is said until the layers are there belongs to the answer."""
        if isinstance(event, StepStarted) and event.name not in {LAYERS, "load"}:
            self._worked = self._watch.is_over = True
        elif isinstance(event, StepFinished) and event.name == LAYERS:
            self._has_layers = True
        elif isinstance(event, Notice) and not self._has_layers:
            self._notices.append(event)
        self._emit(event)

    def listening(self, choose: Choose | None) -> Choose | None:
        """The same question; a build that somebody was asked about is not answered without asking."""
        if choose is None:
            return None

        def ask(question: str, answers: Sequence[str]) -> int:
            self._worked = True
            return choose(question, answers)

        return ask

    def keep(self, store: Store, report: BuildReport) -> None:
        """Remember the build, if it had nothing to do and nothing that it read has moved meanwhile."""
        if not self.asked.can_be_answered or self._worked or self._watch.went_outside:
            return
        if report.images or report.reused_layers != len(report.layers) or _depends_on_more(self.asked):
            return
        files, folders = self._watch.files, self._watch.folders
        if not all(_is_still(look_at(path), look) for path, look in files.items()):
            return
        if not all(_is_still(look_into(path), look) for path, look in folders.items()):
            return
        if whole_image(store, report.digest) is None or surroundings() != self._surroundings:
            return
        known = Known(self._surroundings, _words(files), _words(folders), tuple(self._notices), report)
        KNOWN.keep(store, self.asked.key, known)


def _depends_on_more(asked: Asked) -> bool:
    """Whether an engine decides which builder it is, or the store is made smaller after every build."""
    folder, follows = asked.request.folder, not asked.request.no_dockerfile and asked.builder == "auto"
    return (follows and find_dockerfile(folder) is not None) or read_outline(
        folder
    ).settings.max_store_bytes is not None


def _words(looks: Mapping[str, Look]) -> dict[str, str]:
    return {path: look.words for path, look in looks.items()}


def _is_still(now: Look, before: Look) -> bool:
    return now == before and before.is_settled(time.time_ns())


@contextmanager
def remembering(asked: Asked, emit: Emit) -> Iterator[Memory]:
    """Watch a build in the block."""
    home = default_home()
    if not asked.can_be_answered:
        yield Memory(asked, emit, Watch(()), "")
        return
    ignored = [*(str(home / name) for name in _NOT_READ), PACKAGE, *library_folders()]
    with watching(ignored) as watch:
        for path in _asked_for_alone(asked.request.folder):
            if not look_at(path).words:  # else it is read, and noted then
                watch.files[path] = Look("")
        yield Memory(asked, emit, watch, surroundings())


def _asked_for_alone(folder: Path) -> Iterator[str]:
    """What a build looks for outside the project and reads only where it is there."""
    yield str(USUAL_FILE)
    for place in {*folder.absolute().parents, *folder.resolve().parents}:
        yield str(place / ".git")
