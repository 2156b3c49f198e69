"""What happens while shipml works, as values: the library emits them, the command line draws them.

A function that takes long takes `emit: Emit`. Nothing in the library prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "Emit",
    "Event",
    "Notice",
    "OutputReceived",
    "Step",
    "StepFinished",
    "StepProgressed",
    "StepStarted",
    "ignore",
    "step",
]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step began. `name` is one short word for its sort ("resolve", "base", "layers"), `detail` what it works on."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepProgressed:
    """A step advanced to `done` of `total` (None while unknown), counted in `unit`."""

    name: str
    done: int
    total: int | None
    unit: Literal["bytes", "items"] = "bytes"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended well after `elapsed_seconds`; `detail` is what came of it, in a few words."""

    name: str
    detail: str
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know: one sentence without final full stop."""

    message: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class OutputReceived:
    """Bytes that a program in the image wrote, as they came."""

    stream: Literal["stdout", "stderr"]
    data: bytes


Event: TypeAlias = StepStarted | StepProgressed | StepFinished | Notice | OutputReceived
Emit: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Drop the event: the listener of those who only want the result."""
    del event


class Step:
    """A running step: `progress()` while it runs, `detail` for its closing words. Safe to use from several threads."""

    def __init__(self, name: str, emit: Emit) -> None:
        self.name = name
        self.detail = ""
        self._emit = emit

    def progress(
        self, done: int, total: int | None, unit: Literal["bytes", "items"] = "bytes", detail: str = ""
    ) -> None:
        """Report that `done` of `total` is reached."""
        self._emit(StepProgressed(self.name, done, total, unit, detail))


@contextmanager
def step(emit: Emit, name: str, detail: str = "") -> Iterator[Step]:
    """Emit the start of a step and, unless the block raises, its end with the time it took."""
    emit(StepStarted(name, detail))
    started_at = time.monotonic()
    running = Step(name, emit)
    yield running
    emit(StepFinished(name, running.detail, time.monotonic() - started_at))
