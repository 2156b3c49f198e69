"""The only module that prints: data to stdout, talk to stderr.

stdout carries what a program would read (a digest, a document, a Dockerfile, the output of the image's program);
stderr carries progress, notices, summaries and errors.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

import typer

from shipml.cli.fault_log import keep_log, without_secrets
from shipml.cli.progress import (
    LiveProgress,
    NoProgress,
    PlainProgress,
    StepDisplay,
)
from shipml.cli.requests import RequestLog
from shipml.cli.text import printable, wrapped
from shipml.errors import ShipmlError, UsageError
from shipml.events import Event, Notice, OutputReceived

__all__ = ["Console", "ProgressStyle"]

ProgressStyle = Literal["auto", "tty", "plain", "quiet"]


class Console:
    """Writes for one command. `emit` may be called from several threads."""

    def __init__(self, *, as_json: bool = False, verbosity: int = 0, progress: ProgressStyle = "auto") -> None:
        """`verbosity`: 1 for details and the causes of errors, 2 for each HTTP request."""
        for stream in (sys.stdout, sys.stderr):
            # A file name that the terminal cannot show must not end a build.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        self.as_json = as_json
        self.verbose = verbosity > 0
        self.quiet = progress == "quiet"
        self._colour = _wants_colour(sys.stderr)
        self._lock = threading.RLock()
        self._line_is_open = False
        self._noticed: set[Notice] = set()
        """What was said: a command that plans twice says it once."""
        self._display = self._make_display(progress)
        self._requests = RequestLog.installed(self.say, verbosity)

    def _make_display(self, style: ProgressStyle) -> StepDisplay:
        if style == "quiet":
            return NoProgress()
        if style == "tty" or (style == "auto" and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
            return LiveProgress(sys.stderr, colour=self._colour, width=lambda: _width(sys.stderr))
        return PlainProgress(self._write_talk, width=lambda: _width(sys.stderr))

    # Data

    def data(self, text: str) -> None:
        """Write a line (or several) that a program may read to stdout."""
        self._display.pause()
        self._write(sys.stdout, text + "\n")

    def document(self, value: object) -> None:
        """Write a JSON document to stdout."""
        # Escaped: a lone surrogate (from an undecodable file name) has no UTF-8 form.
        self.data(json.dumps(value, indent=2, ensure_ascii=True))

    def copy_binary(self, source: BinaryIO) -> None:
        """Copy a file to stdout.

        Raises:
            BrokenPipeError: the reader went away before the end.
        """
        self._display.pause()
        shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()

    # Talk

    def say(self, text: str, *, bold: bool = False) -> None:
        """Write a line to stderr unless the user wants quiet."""
        if not self.quiet:
            self._display.pause()
            self._write_talk(self._style(wrapped(printable(text), _width(sys.stderr), 2), bold=bold))

    def detail(self, text: str) -> None:
        """Write a line to stderr if the user wants many."""
        if self.verbose:
            self.say(text)

    def emit(self, event: Event) -> None:
        """Show what happens in the library."""
        if isinstance(event, OutputReceived):
            self._display.pause()
            stream = sys.stdout if event.stream == "stdout" and not self.as_json else sys.stderr
            self._write(stream, event.data)
            # An open line matters where words follow on the same stream or screen.
            shared = stream is sys.stderr or (sys.stdout.isatty() and sys.stderr.isatty())
            self._line_is_open = shared and not event.data.endswith(b"\n")
        elif isinstance(event, Notice):
            word, colour = ("warning", "yellow") if event.level == "warning" else ("note", "cyan")
            if not self.quiet and event not in self._noticed:
                self._noticed.add(event)
                self._display.pause()
                self._labelled(word, colour, event.message)
        else:
            self._display.handle(event)

    def ask(self, question: str, *, hidden: bool = False) -> str:
        """Ask on the terminal; returns what was typed without spaces around it, "" at the end of input."""
        self._display.pause()
        if hidden:
            return getpass.getpass(question, sys.stderr)
        self._write(sys.stderr, question)
        return sys.stdin.readline().strip()

    def emit_aside(self, event: Event) -> None:
        """As `emit`, for commands whose result is something else than what the image's program prints."""
        if not isinstance(event, OutputReceived):
            self.emit(event)
        elif not self.quiet:
            self.emit(OutputReceived("stderr", event.data))

    @property
    def can_ask(self) -> bool:
        """Whether somebody sits there who can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def chooser(self) -> Callable[[str, Sequence[str]], int] | None:
        """Asks which of several is meant; None where a script reads the output, or nobody sits there."""
        is_script = self.as_json or self.quiet or os.environ.get("CI", "").lower() in {"true", "1"}
        return self.choose if self.can_ask and not is_script else None

    def choose(self, question: str, answers: Sequence[str]) -> int:
        """Ask on the terminal which of several is meant, until one of them is; returns its index.

        Raises:
            UsageError: the input ended without an answer.
        """
        self._display.pause()
        lines = [f"{number:>3}  {printable(answer)}" for number, answer in enumerate(answers, 1)]
        self._write(sys.stderr, "\n".join([*lines, ""]))
        while True:
            self._write(sys.stderr, f"{question} [1-{len(answers)}] ")
            line = sys.stdin.readline()
            if not line:
                raise UsageError("nothing was chosen", hint="type one of the numbers, or press Ctrl-C to give up")
            if line.strip().isdecimal() and 1 <= int(line) <= len(answers):
                return int(line) - 1

    def demand(self, text: str) -> None:
        """Write a line to stderr that somebody has to act on, also where quiet is wanted: else nothing goes on."""
        self._display.pause()
        self._write_talk(self._style(printable(text)))

    # Failure

    def fail(self, error: ShipmlError, *, document: Mapping[str, Any] | None = None) -> int:
        """Show what went wrong and what to do next; returns the exit code.

        Args:
            error: what went wrong.
            document: what `--json` prints beside the error.
        """
        if self.as_json:
            shown = {
                key: printable(value) if isinstance(value, str) else value for key, value in error.to_json().items()
            }
            self.document({**(document or {}), "error": shown})
        self._display.pause()
        self._labelled("error", "red", error.message)
        if error.hint:
            self._labelled("hint", "cyan", error.hint)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            self._write_talk(_annotation(error))
        if self.verbose:
            cause = error.__cause__
            while cause is not None:
                self._write_talk(f"caused by: {type(cause).__name__}: {printable(str(cause))}")
                cause = cause.__cause__
            for refused in self._requests.refused if self._requests else ():
                self._write_talk(f"refused: {printable(refused)}")
        return error.exit_code

    def fail_unexpectedly(self, error: Exception, home: Path) -> int:
        """Show a fault of shipml itself in one line, keep its traceback under `home`; returns the exit code."""
        text = without_secrets("".join(traceback.format_exception(error)))
        last_line = without_secrets("".join(traceback.format_exception_only(error)).strip().splitlines()[-1])
        if self.verbose:
            self._display.pause()
            self._write_talk(text.rstrip())
        return self.fail(InternalError(f"internal error (a bug in shipml): {last_line}", hint=keep_log(home, text)))

    def close(self) -> None:
        """Remove what is drawn only while the command runs."""
        self._display.close()

    # Streams

    @property
    def data_width(self) -> int | None:
        """Columns of the terminal that stdout is; None where it is none, and nothing is wrapped."""
        return _width(sys.stdout)

    def _labelled(self, label: str, colour: str, text: str) -> None:
        """A line such as `note: …`; on a terminal its words go on under its first one."""
        lines = wrapped(f"{label}: {printable(text)}", _width(sys.stderr), len(label) + 2)
        self._write_talk(self._style(f"{label}:", colour) + lines[len(label) + 1 :])

    def _style(self, text: str, colour: str | None = None, *, bold: bool = True) -> str:
        return typer.style(text, fg=colour, bold=bold) if self._colour and (colour or bold) else text

    def _write_talk(self, line: str) -> None:
        # The program in the image need not end its last line.
        start, self._line_is_open = "\n" if self._line_is_open else "", False
        self._write(sys.stderr, f"{start}{line}\n")

    def _write(self, stream: TextIO, data: str | bytes) -> None:
        with self._lock, _reader_may_leave(stream):
            if isinstance(data, bytes):
                stream.flush()
                stream.buffer.write(data)
            else:
                stream.write(data)
            stream.flush()


class InternalError(ShipmlError):
    """A fault of shipml itself."""

    kind = "internal"


@contextlib.contextmanager
def _reader_may_leave(stream: TextIO) -> Any:  # noqa: ANN401  (a context manager without value)
    """`shipml images | head -1` is not a failure: what nobody reads goes nowhere."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _annotation(error: ShipmlError) -> str:
    """An error as GitHub Actions shows it at the top of a job ("Workflow commands", "Setting an error message")."""
    text = printable(f"{error.message}\n{error.hint}".strip())
    return "::error title=shipml::" + text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _width(stream: TextIO) -> int | None:
    """Columns of a terminal; None for other streams."""
    if not stream.isatty():
        return None
    if (stated := os.environ.get("COLUMNS", "")).isdecimal():
        return int(stated) or None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
