"""How steps look while they run: one line each in a log, a live display on a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from shipml.cli.text import printable, wrapped
from shipml.events import StepFinished, StepProgressed, StepStarted
from shipml.text import seconds_text, size_text

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID
    from rich.text import Text

__all__ = ["LiveProgress", "NoProgress", "PlainProgress", "StepDisplay", "StepEvent"]

StepEvent = StepStarted | StepProgressed | StepFinished

_NAME_WIDTH = 9


class StepDisplay(Protocol):
    """Draws steps. `handle` may be called from several threads."""

    def handle(self, event: StepEvent) -> None:
        """Show what happened."""

    def pause(self) -> None:
        """Take away what is drawn only for now: other text follows."""

    def close(self) -> None:
        """Say nothing more of what still runs: the command ends."""


class NoProgress:
    """Draws nothing."""

    def handle(self, event: StepEvent) -> None:
        """Drop the event."""

    def pause(self) -> None:
        """There is nothing to take away."""

    def close(self) -> None:
        """There is nothing to end."""


def finished_line(event: StepFinished, started_as: str, width: int | None = None) -> str:
    """What stays of a step: what came of it, else what it worked on; broken into lines of `width` characters."""
    detail = printable(event.detail or started_as) or "done"
    line = f"{event.name:<{_NAME_WIDTH}} {detail} ({seconds_text(event.elapsed_seconds)})"
    return wrapped(line, width, _NAME_WIDTH + 1)


def amount_text(done: int, total: int | None, unit: str) -> str:
    """How far a step is: `12.1 MB of 80.3 MB`, `3 of 41`; "" where there is nothing to count."""
    if not done and total is None:
        return ""
    write = size_text if unit == "bytes" else str
    return write(done) if total is None else f"{write(done)} of {write(total)}"


@dataclass(slots=True)
class _Running:
    detail: str
    started_at: float
    speaks_at: float
    amount: str = ""


class PlainProgress:
    """One line when a step ends; a long one says in growing intervals that it runs, so that no CI job gives up."""

    def __init__(
        self,
        write_line: Callable[[str], None],
        *,
        width: Callable[[], int | None] = lambda: None,
        patience_seconds: float = 10.0,
    ) -> None:
        """`width` tells how long a line may be, in characters; None for any length."""
        self._write_line = write_line
        self._width = width
        self._patience_seconds = patience_seconds
        self._running: dict[str, _Running] = {}
        self._changed = threading.Condition()
        self._watcher: threading.Thread | None = None

    def handle(self, event: StepEvent) -> None:
        """Note the step, and write its line when it has ended."""
        with self._changed:
            if isinstance(event, StepStarted):
                now = time.monotonic()
                self._running[event.name] = _Running(event.detail, now, now + self._patience_seconds)
                self._watch()
            elif isinstance(event, StepProgressed):
                if running := self._running.get(event.name):
                    running.amount = amount_text(event.done, event.total, event.unit)
                    running.detail = event.detail or running.detail
            else:
                ended = self._running.pop(event.name, None)
                self._write_line(finished_line(event, ended.detail if ended else "", self._width()))
            self._changed.notify()

    def pause(self) -> None:
        """Lines stay where they are."""

    def close(self) -> None:
        """Forget what runs."""
        with self._changed:
            self._running.clear()
            self._changed.notify()

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._speak_of_long_steps, daemon=True)
            self._watcher.start()

    def _speak_of_long_steps(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for name, step in self._running.items():
                    if now >= step.speaks_at:
                        spent_seconds = now - step.started_at
                        step.speaks_at = now + spent_seconds
                        so_far = ", ".join(filter(None, (printable(step.detail), step.amount)))
                        self._write_line(
                            f"{name:<{_NAME_WIDTH}} still running after {spent_seconds:.0f} s"
                            + (f": {so_far}" if so_far else "")
                        )
                next_at = min((step.speaks_at for step in self._running.values()), default=None)
                self._changed.wait(None if next_at is None else max(0.0, next_at - time.monotonic()))


class LiveProgress:
    """Running steps with spinner, bar, amount and speed at the bottom of a terminal; ended ones as lines above."""

    def __init__(self, stream: TextIO, *, colour: bool, width: Callable[[], int | None] = lambda: None) -> None:
        self._stream = stream
        self._width = width
        self._colour = colour
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._running: dict[str, str] = {}
        """Names of the steps that run, and their details: they are drawn again after a pause."""
        self._lock = threading.Lock()

    def handle(self, event: StepEvent) -> None:
        """Redraw."""
        with self._lock:
            if isinstance(event, StepFinished):
                self._finish(event)
                return
            if isinstance(event, StepStarted):
                self._running[event.name] = event.detail
            progress = self._open()
            if isinstance(event, StepProgressed) and event.name in self._tasks:
                task = self._tasks[event.name]
                progress.update(task, completed=event.done, total=event.total, unit=event.unit)
                if event.detail:
                    progress.update(task, detail=event.detail)

    def pause(self) -> None:
        """Remove the running steps from the screen until one of them moves."""
        with self._lock:
            self._stop()

    def close(self) -> None:
        """Remove the running steps from the screen for good."""
        with self._lock:
            self._running.clear()
            self._stop()

    def _finish(self, event: StepFinished) -> None:
        line = finished_line(event, self._running.pop(event.name, ""), self._width())
        task = self._tasks.pop(event.name, None)
        if self._progress is not None and self._running:
            if task is not None:
                self._progress.remove_task(task)
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._stop()
            self._stream.write(line + "\n")
            self._stream.flush()

    def _open(self) -> Progress:
        if self._progress is None:
            self._progress = _make_progress(self._stream, colour=self._colour)
            self._progress.start()
        for name, detail in self._running.items():
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=None, detail=detail, unit="bytes")
        return self._progress

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._tasks.clear()


def _make_progress(stream: TextIO, *, colour: bool) -> Progress:
    # Rich is needed on a terminal only, and costs as much as the rest of the command line.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn
    from rich.table import Column
    from rich.text import Text

    class Name(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.description:<{_NAME_WIDTH}}")

    class Detail(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(printable(str(task.fields["detail"])), no_wrap=True, overflow="ellipsis")

    class Bar(BarColumn):
        def render(self, task: Task) -> Text:  # type: ignore[override]  # nothing while the total is unknown
            return Text("") if task.total is None else super().render(task)  # type: ignore[return-value]

    class Amount(ProgressColumn):
        max_refresh = 0.2

        def render(self, task: Task) -> Text:
            return Text(_task_amount(task), no_wrap=True)

    console = Console(file=stream, force_terminal=True, no_color=not colour, highlight=False)
    return Progress(
        SpinnerColumn(),
        Name(table_column=Column(min_width=_NAME_WIDTH, no_wrap=True)),
        Detail(table_column=Column(ratio=1, no_wrap=True)),
        Bar(bar_width=16),
        Amount(table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
        expand=True,
    )


def _task_amount(task: Task) -> str:
    """Amount and speed, or the time where there is nothing to count."""
    if not task.completed and task.total is None:
        return f"{task.elapsed or 0:.0f} s"
    unit = str(task.fields["unit"])
    amount = amount_text(int(task.completed), None if task.total is None else int(task.total), unit)
    return f"{amount}, {size_text(int(task.speed))}/s" if unit == "bytes" and task.speed else amount
