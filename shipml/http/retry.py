"""How often and after which pauses a request is sent again: one policy for downloads and registries."""

from __future__ import annotations

import contextlib
import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RETRIED", "RetryPolicy", "retry_after_seconds"]

RETRIED = (408, 425, 429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""
_LONGEST_DIGITS = 9
"""Of a number of seconds that makes sense; Python refuses to read numbers of thousands of digits."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is."""

    attempts: int = 6
    """At one request, the first included; a transfer that advances counts again from 1."""
    first_seconds: float = 0.5
    """Before the second attempt; each further pause is twice as long, give or take a quarter."""
    longest_seconds: float = 30.0
    longest_asked_seconds: float = 300.0
    """What a server may ask to wait (Retry-After); more ends the command."""
    timeout_seconds: float = 60.0
    """Of connecting, and without any byte in either direction."""

    def before_seconds(self, attempt: int, asked_seconds: float = 0.0) -> float:
        """The pause before the attempt of this number, from 2 on; a little longer than the server asked to wait."""
        if asked_seconds:
            spread_seconds: float = asked_seconds * random.uniform(1, 1.1)  # noqa: S311  (spreads clients, hides nothing)
            return spread_seconds
        pause_seconds: float = min(self.first_seconds * 2 ** (attempt - 2), self.longest_seconds)
        return pause_seconds * random.uniform(0.75, 1.25)  # noqa: S311  (as above)

    def gives_up(self, attempt: int, asked_seconds: float = 0.0) -> bool:
        """Whether the attempt of this number was the last, or the server asks to wait for too long."""
        return attempt >= self.attempts or asked_seconds > self.longest_asked_seconds


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """Retry-After in seconds, given as number or date; 0 without one that makes sense."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value[:_LONGEST_DIGITS])
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
