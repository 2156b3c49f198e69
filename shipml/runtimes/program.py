"""A program that runs confined, and what hears its output."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

__all__ = ["Program", "Received"]

Received: TypeAlias = Callable[[Literal["stdout", "stderr"], bytes], None]


class Program(Protocol):
    """A program that runs confined."""

    @property
    def started_at(self) -> float | None:
        """When it began, as time.monotonic()."""

    @property
    def exit_code(self) -> int | None:
        """128 + N for signal N; None while it runs."""

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed for the memory that it asked for."""

    @property
    def too_many_processes(self) -> bool:
        """Whether it was killed for the number of its processes."""

    @property
    def cause(self) -> str:
        """Why it could not be executed, where that is so."""

    def listen(self, timeout_seconds: float | None, received: Received) -> bool:
        """Hand on output until the program and its output have ended (True) or the time is over (False)."""

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, as `docker stop` does."""

    def require_ending(self) -> None:
        """Raise UnavailableError or TryAgainError where it ended without saying how."""
