"""The command line with further commands that fail and show in every way: what tests of the console run."""

from __future__ import annotations

import sys
import threading
import time
from typing import Annotated

import typer

from shipml import errors
from shipml.cli.app import app, run
from shipml.cli.command import add_command
from shipml.cli.console import Console
from shipml.events import Notice, OutputReceived, step


def fail(console: Console, *, kind: Annotated[str, typer.Argument()]) -> None:
    """Raise an error of shipml by the name of its class."""
    error: errors.ShipmlError = getattr(errors, kind)(
        "it went wrong at https://me:secret@example.org/x", hint="do this"
    )
    raise error from OSError("the cause")


def crash(console: Console) -> None:
    """Raise what nobody expects."""
    raise KeyError("https://me:secret@example.org/\x1b[31m")


def sleep(console: Console) -> None:
    """Say that it is ready, then wait for a signal."""
    console.data("ready")
    time.sleep(60)


def talk(console: Console) -> None:
    """Show one of everything: parallel steps, notices, output, data."""

    def base() -> None:
        with step(console.emit, "base", "debian:bookworm") as running:
            for done in range(5):
                running.progress(done, 5, "items", "libc6")
                time.sleep(0.15)
            running.detail = "5 packages"

    with step(console.emit, "download", "scipy\x1b[31m") as running:
        thread = threading.Thread(target=base)
        thread.start()
        running.progress(1_500_000, 3_000_000)
        console.emit(Notice("an old mirror: http://me:secret@example.org/", "warning"))
        thread.join()
        running.detail = "3 wheels"
    console.emit(OutputReceived("stdout", b"accuracy: 1\xff"))
    console.say("said")
    console.detail("detailed")
    console.document({"answer": 42}) if console.as_json else console.data("data")


def ramble(console: Console) -> None:
    """Say more than fits on a line, in every way."""
    console.emit(Notice(_LONG))
    console.say(_LONG)
    with step(console.emit, "resolve") as running:
        running.detail = _LONG
    console.fail(errors.PlanError(_LONG, hint=_LONG))


_LONG = " ".join(f"word{number:02}" for number in range(40))


def flood(console: Console) -> None:
    """Write more than any pipe holds."""
    for number in range(100_000):
        console.data(f"line {number}")


for function in (fail, crash, sleep, talk, ramble, flood):
    add_command(app, function, function.__name__)

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
