"""Keeps a program up in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

from shipml.errors import ShipmlError, SmokeTestError
from shipml.events import Emit
from shipml.runtimes.base import RunOptions
from shipml.runtimes.diagnose import Failure, remedy
from shipml.runtimes.reach import Reach, Running
from shipml.runtimes.smoke import Ending, OutputLog, exit_text
from shipml.runtimes.variables import Mask

__all__ = ["Background"]

_LOOK_SECONDS = 0.1
_END_SECONDS = 10.0


class Background:
    """Keeps a program up in a thread, and emits its output, from its making until it ends or `close`."""

    def __init__(
        self, start: Callable[[Emit], AbstractContextManager[Running]], options: RunOptions, emit: Emit
    ) -> None:
        self._start = start
        self._options = options
        self._emit = emit
        self._log = OutputLog()
        self._mask = Mask(options.environment)
        self._running: Running | None = None
        self._error: ShipmlError | None = None
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="served", daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return not self._thread.is_alive()

    def wait_until_up(self) -> Reach:
        """Wait until it takes connections.

        Raises:
            SmokeTestError: it ended before, or its time (the check's time limit) was over.
            ShipmlError: it could not be started.
        """
        limit_seconds = self._options.check.timeout_seconds
        deadline = time.monotonic() + limit_seconds
        while time.monotonic() < deadline:
            if self.has_ended:
                raise self.failure()
            if self._running is not None and self._running.reach.is_up():
                return self._running.reach
            time.sleep(_LOOK_SECONDS)
        hint = remedy(self._failure("no-answer", None), self._options.check, self._options.called)
        raise SmokeTestError(f"the program opened no port within {limit_seconds:g} s", hint=hint)

    def failure(self) -> ShipmlError:
        """Why it ended."""
        if self._error is not None:
            return self._error
        program = self._running.program if self._running else None
        code = program.exit_code if program else None
        cause = f"cannot start: {program.cause}" if program and program.cause else ""
        ended = cause or f"ended, {exit_text(Ending(code), self._log)}"
        kind: Literal["cannot-start", "exit-code"] = "cannot-start" if cause else "exit-code"
        return SmokeTestError(
            self._mask.text(f"the program {ended}"),
            hint=self._mask.text(remedy(self._failure(kind, code), self._options.check, self._options.called)),
        )

    def close(self) -> None:
        """End it, and wait for that."""
        self._is_closed.set()
        self._thread.join(_END_SECONDS)

    def _failure(self, kind: Literal["cannot-start", "exit-code", "no-answer"], code: int | None) -> Failure:
        options = self._options
        return Failure(
            kind,
            code,
            self._log.tail,
            left_out=options.left_out,
            written_by=options.written_by,
            present=options.present,
            settings=options.settings,
        )

    def _run(self) -> None:
        show = self._mask.emitting(self._emit)

        def received(stream: Literal["stdout", "stderr"], data: bytes) -> None:
            self._log.feed(stream, data)
            show(stream, data)

        try:
            with self._start(self._emit) as running:
                self._running = running
                while not self._is_closed.is_set() and not running.program.listen(_LOOK_SECONDS, received):
                    pass
        except ShipmlError as error:
            self._error = error
        finally:
            self._mask.flush(self._emit)
