"""Variables that a run is given beside the image's own: where they come from, and that no output shows their values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from shipml.errors import UsageError
from shipml.events import Emit, OutputReceived

__all__ = ["MASKED", "Mask", "complete"]

MASKED = "***"
_LEAST_LENGTH = 4
"""Shorter values, such as 1 or cpu, would be found in too much of what is not secret."""

Stream = Literal["stdout", "stderr"]


def complete(given: Mapping[str, str], names: Sequence[str], ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that were given, and those of `names` from our own environment.

    Raises:
        UsageError: some of `names` are in neither; all are named.
    """
    missing = [name for name in names if name not in given and name not in ours]
    if missing:
        typed = " ".join(f"-e {name}=VALUE" for name in missing)
        raise UsageError(
            f"the smoke test needs {' and '.join(missing)}, which [smoke] env names and nothing sets",
            hint=f"set it here, or give it: {typed} (without a value: -e {missing[0]}=)",
        )
    return {**{name: ours[name] for name in names if name not in given}, **given}


class Mask:
    """Puts `***` in place of the values of variables, in texts and in output that comes in pieces."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        values = [line for value in environment.values() for line in (value, *value.splitlines())]
        kept = {value for value in values if len(value) >= _LEAST_LENGTH}
        self._values = sorted((value.encode(errors="surrogateescape") for value in kept), key=len, reverse=True)
        self._held: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def text(self, text: str) -> str:
        """A whole text."""
        return self._hide(text.encode(errors="surrogateescape")).decode(errors="replace") if self._values else text

    def emitting(self, emit: Emit) -> Callable[[Stream, bytes], None]:
        """Emits output as it comes; a piece's end that may be the beginning of a value waits for the next piece."""

        def received(stream: Stream, data: bytes) -> None:
            data = self._held[stream] + data
            hidden = self._hide(data)
            cut = len(hidden) - self._may_begin(hidden)
            self._held[stream] = hidden[cut:]
            if hidden[:cut]:
                emit(OutputReceived(stream, hidden[:cut]))

        return received

    def flush(self, emit: Emit) -> None:
        """Emit what waited, at the end."""
        for stream, data in self._held.items():
            if data:
                emit(OutputReceived(stream, data))
            self._held[stream] = b""

    def _hide(self, data: bytes) -> bytes:
        for value in self._values:
            data = data.replace(value, MASKED.encode())
        return data

    def _may_begin(self, data: bytes) -> int:
        """The length of the longest end of `data` that a value begins with."""
        longest = max(map(len, self._values), default=1) - 1
        lengths = range(min(longest, len(data)), 0, -1)
        return next((n for n in lengths if any(value.startswith(data[-n:]) for value in self._values)), 0)
