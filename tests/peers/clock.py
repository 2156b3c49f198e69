"""The time in the stand-in cloud, which a test may push on: tokens expire without waiting."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Runs as the machine's does, further on."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0

    def now(self) -> int:
        """Seconds of the Unix epoch."""
        return int(time.time() + self._ahead_seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead_seconds += seconds

    def reset(self) -> None:
        """Back to the machine's time."""
        self._ahead_seconds = 0.0
