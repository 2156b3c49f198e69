"""Room for a download: what a server sends is bounded by what is stated, and by the free space of the disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from shipml.errors import StoreError, UntrustedInputError
from shipml.text import size_text

__all__ = ["Room"]

_MOST_BYTES = 64 * 10**9
"""Of one file whose size nobody states: larger than any wheel."""
_RESERVE_BYTES = 256 * 10**6
"""What is left free for everybody else, or a twentieth of a smaller disk."""
_STEP_BYTES = 16 << 20


@dataclass(slots=True)
class Room:
    """What may still come in."""

    home: Path
    """The store's folder."""
    url: str
    """For messages."""
    stated_bytes: int | None = None
    """None where nobody says how large the file is."""
    _next_bytes: int = field(default=_STEP_BYTES)

    def expect(self, total_bytes: int) -> None:
        """The server says that the file has so many bytes; 0 where it does not say.

        Raises:
            UntrustedInputError: that is not the size that is stated, or more than any file may have.
            StoreError: the disk has no room for it.
        """
        if self.stated_bytes is not None and total_bytes > self.stated_bytes:
            raise UntrustedInputError(f"{self.url} is larger than the {self.stated_bytes} bytes that the lock names")
        if total_bytes > _MOST_BYTES:
            raise UntrustedInputError(f"{self.url} has {size_text(total_bytes)}: more than any package")
        if total_bytes > shutil.disk_usage(self.home).free:
            raise self._full(total_bytes)

    def check(self, received_bytes: int) -> None:
        """So much came in, and is about to be written; the disk is looked at once in a while.

        Raises:
            UntrustedInputError, StoreError: as `expect`.
        """
        if self.stated_bytes is not None or received_bytes < self._next_bytes:
            return
        self._next_bytes = received_bytes + _STEP_BYTES
        if received_bytes > _MOST_BYTES:
            raise UntrustedInputError(f"{self.url} does not end: {size_text(received_bytes)} came in")
        usage = shutil.disk_usage(self.home)
        if usage.free < min(_RESERVE_BYTES, usage.total // 20):
            raise self._full(received_bytes)

    def _full(self, size_bytes: int) -> StoreError:
        return StoreError(
            f"there is no room below {self.home} for {self.url} ({size_text(size_bytes)} and more)",
            hint="free some space, or run: shipml cache prune; or point SHIPML_HOME to another disk",
        )
