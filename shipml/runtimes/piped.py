"""A confined program that is spoken to over pipes, for as long as it runs."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import IO, Literal

from shipml.errors import UnavailableError
from shipml.runtimes.inside.protocol import Spec
from shipml.runtimes.sandbox_process import Confined

__all__ = ["PipedProgram"]

_COMPLAINTS_BYTES = 1 << 16
_FAILED = 1


class PipedProgram:
    """Starts the program of `spec`; has the part of subprocess.Popen that `wheels.interpreter.PythonProcess` names."""

    def __init__(self, spec: Spec, complaints: IO[bytes]) -> None:
        """Start it; the first 64 KiB of its stderr go to `complaints`, and why it could not be started."""
        its_input, write_end = os.pipe()
        read_end, its_output = os.pipe()
        self.stdin: IO[bytes] | None = os.fdopen(write_end, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(read_end, "rb")
        self._complaints = complaints
        self._left_bytes = _COMPLAINTS_BYTES
        try:
            self._confined = Confined(spec, pipes=(its_input, its_output))
        finally:
            os.close(its_input)
            os.close(its_output)
        self._listener = threading.Thread(target=self._listen, name="confined", daemon=True)
        self._listener.start()

    def poll(self) -> int | None:
        """Its exit code, 128 + N for signal N; None while it runs."""
        if self._listener.is_alive():
            return None
        return _FAILED if self._confined.exit_code is None else self._confined.exit_code

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all its processes have ended; raises subprocess.TimeoutExpired after `timeout` seconds."""
        self._listener.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("the confined program", timeout or 0)
        return code

    def kill(self) -> None:
        """End all its processes."""
        self._confined.end()

    def _listen(self) -> None:
        with self._confined:
            try:
                self._confined.listen(None, self._received)
            except UnavailableError as error:
                self._complain(error.message.encode())
            self._complain(self._confined.cause.encode())

    def _received(self, _: Literal["stdout", "stderr"], data: bytes) -> None:
        self._complain(data)

    def _complain(self, data: bytes) -> None:
        self._complaints.write(data[: self._left_bytes])
        self._left_bytes -= min(len(data), self._left_bytes)
        self._complaints.flush()
