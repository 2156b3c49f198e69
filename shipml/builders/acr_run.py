"""One run of ACR Tasks, followed: how long it waits, what it writes, how it ends; and how it is stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass

from shipml.azure.runs import Run, RunLog, Runs
from shipml.builders.build_log import BuildLog
from shipml.errors import ShipmlError, TryAgainError
from shipml.events import Emit, Notice, StepFinished, StepStarted

__all__ = ["Patience", "cancel", "follow"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How a run is followed."""

    first_seconds: float = 1.0
    """Between two looks at the log; each look that finds nothing makes the next pause half as long again."""
    longest_seconds: float = 5.0
    rest_looks: int = 10
    """At a log that does not say that it is complete, after the run has ended."""


def follow(runs: Runs, run: Run, log: BuildLog, emit: Emit, patience: Patience) -> Run:
    """Show what a run writes until it has ended; returns how.

    Raises:
        ShipmlError: Azure does not tell any more; the run goes on.
    """
    written = runs.log(run.id)
    queued_at = time.monotonic()
    waiting = True
    emit(StepStarted("queue", f"run {run.id} waits for a machine in Azure; Ctrl-C cancels it"))
    pause_seconds = patience.first_seconds
    while True:
        data = written.read() if not waiting or not run.waits else b""
        if data:
            pause_seconds = patience.first_seconds
            log.output(data)
            continue
        if not run.has_ended:
            run = _look(runs, run)
        if waiting and not run.waits:
            waiting = False
            emit(StepFinished("queue", f"run {run.id} has a machine", time.monotonic() - queued_at))
            continue
        if run.has_ended:
            _read_rest(written, log, patience)
            return run
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.5, patience.longest_seconds)


def _look(runs: Runs, run: Run) -> Run:
    """How it stands; as before where Azure is away for a moment, which a run of an hour outlives."""
    try:
        return runs.get(run.id)
    except TryAgainError:
        return run


def _read_rest(written: RunLog, log: BuildLog, patience: Patience) -> None:
    """What a run that has ended wrote last: its log may lag behind."""
    for look in range(patience.rest_looks):
        while data := written.read():
            log.output(data)
        if written.is_complete:
            return
        if look + 1 < patience.rest_looks:
            time.sleep(patience.first_seconds)


def cancel(runs: Runs, run: Run, emit: Emit) -> None:
    """Stop a run, or say how to."""
    try:
        runs.cancel(run.id)
    except ShipmlError as error:
        name = runs.registry.name
        emit(
            Notice(
                f"the run goes on in Azure: {error.message}; stop it: az acr task cancel-run --registry {name}"
                f" --run-id {run.id}",
                "warning",
            )
        )
    else:
        emit(Notice(f"the run {run.id} is cancelled in Azure, too"))
