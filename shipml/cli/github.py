"""Tells GitHub Actions what came of a command, where it runs there: a job summary, and outputs for the next steps."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from shipml.cli.console import Console
from shipml.events import Notice

if TYPE_CHECKING:
    from shipml.outcome import Outcome

__all__ = ["tell_github"]

_SUMMARY, _OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"


def tell_github(outcome: Outcome, console: Console) -> None:
    """Append to the files that GITHUB_STEP_SUMMARY and GITHUB_OUTPUT name; without them nothing happens.

    A file that cannot be written is a warning: what was to be done is done.
    """
    if summary := os.environ.get(_SUMMARY):
        _append(summary, outcome.markdown() + "\n", _SUMMARY, console)
    if output := os.environ.get(_OUTPUT):
        from shipml.outcome import output_file_text

        text = output_file_text(outcome.outputs(), f"shipml_{secrets.token_hex(16)}")
        _append(output, text, _OUTPUT, console)


def _append(name: str, text: str, variable: str, console: Console) -> None:
    try:
        with Path(name).open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        message = f"{variable} names {name}, which cannot be written: {error.strerror}"
        console.emit(Notice(message, "warning"))
