"""What compiles bytecode: a trusted Python of this machine, or one that is confined. Both are spoken to over pipes."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from shipml.errors import BuildError

__all__ = ["CompilingPython", "Interpreter", "PythonProcess"]


class PythonProcess(Protocol):
    """A started Python: the part of subprocess.Popen that is used."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """What it reads."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """What it prints."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, for at most `timeout` seconds; raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """End it, from any thread."""


class CompilingPython(Protocol):
    """A CPython of the image's minor version, wherever it runs."""

    @property
    def version(self) -> str:
        """What tells whose bytecode this is: the full version, and of which image where it is an image's own."""

    def start(self, arguments: Sequence[str], complaints: IO[bytes]) -> PythonProcess:
        """Start it with these arguments and no more environment than it needs; `complaints` gets its stderr.

        Raises:
            BuildError: it does not start.
        """


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython that runs on this machine as the caller: never a program of an image, or of the project."""

    argv: tuple[str, ...]
    """How it is started; its own options may follow."""
    environment: Mapping[str, str]
    """The whole environment that it is started with."""
    version: str
    """Full version, as "3.11.2"."""

    def start(self, arguments: Sequence[str], complaints: IO[bytes]) -> PythonProcess:
        """See `CompilingPython.start`."""
        try:
            return subprocess.Popen(
                [*self.argv, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env={**self.environment, "PYTHONHASHSEED": "0"},
                cwd="/",
            )
        except OSError as error:
            raise BuildError(
                f"the interpreter {self.argv[0]} that compiles bytecode does not start: {error.strerror}",
                hint="forget what was cached: shipml cache prune --all",
            ) from error
