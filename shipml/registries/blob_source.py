"""What is uploaded: bytes that can be read again from any position, and that are checked while they leave."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from shipml.errors import StoreError, UntrustedInputError
from shipml.oci.digest import Digest

__all__ = ["Blob", "BlobSource"]

_SMALLEST_PIECE_BYTES, _LARGEST_PIECE_BYTES = 1 << 16, 1 << 20
_SHORT_SECONDS, _LONG_SECONDS = 0.25, 2.0
"""For which a piece is sent before the next ones become larger or smaller."""


class Blob(Protocol):
    """What is uploaded: a layer, or a config."""

    @property
    def digest(self) -> Digest:
        """Of the bytes."""

    @property
    def size_bytes(self) -> int:
        """Their number."""

    def open(self) -> BinaryIO:
        """The bytes, from their start; called again when an upload starts over."""


class BlobSource:
    """A blob's bytes from any position, hashed once each."""

    def __init__(self, blob: Blob, show: Callable[[int], None]) -> None:
        self._blob = blob
        self._show = show
        self._stream: BinaryIO | None = None
        self._position = self._hashed = 0
        self._hash = hashlib.sha256()
        self._piece_bytes = _SMALLEST_PIECE_BYTES

    def __enter__(self) -> BlobSource:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`; the last of all only if all are what the digest says.

        Raises:
            UntrustedInputError: they are not.
            StoreError: they cannot be read.
        """
        self._go_to(start)
        while self._position < end:
            piece = self._read(end - self._position)
            if not piece:
                raise UntrustedInputError(f"the blob {self._blob.digest} ends early: it is damaged")
            if self._position == self._blob.size_bytes:
                self._check_digest()
            began_at_seconds = time.monotonic()
            yield piece
            self._adapt(time.monotonic() - began_at_seconds)
            self._show(self._position)

    def _check_digest(self) -> None:
        if self._hash.hexdigest() != self._blob.digest.hex:
            raise UntrustedInputError(f"the blob {self._blob.digest} is damaged: its digest differs")

    def _adapt(self, elapsed_seconds: float) -> None:
        """Large pieces are fast, but each must leave within the timeout on slow lines, too."""
        if elapsed_seconds < _SHORT_SECONDS:
            self._piece_bytes = min(self._piece_bytes * 2, _LARGEST_PIECE_BYTES)
        elif elapsed_seconds > _LONG_SECONDS:
            self._piece_bytes = max(self._piece_bytes // 2, _SMALLEST_PIECE_BYTES)

    def _go_to(self, start: int) -> None:
        if self._stream is None or (start != self._position and not self._stream.seekable()):
            if self._stream is not None:
                self._stream.close()
            self._stream, self._position = self._blob.open(), 0
        if self._stream.seekable():
            self._stream.seek(start)
            self._position = start
        while self._position < start and self._read(start - self._position):
            pass

    def _read(self, limit_bytes: int) -> bytes:
        assert self._stream is not None  # noqa: S101  (opened by _go_to)
        try:
            piece = self._stream.read(min(limit_bytes, self._piece_bytes))
        except OSError as error:
            raise StoreError(f"the blob {self._blob.digest} cannot be read: {error.strerror}") from error
        before, self._position = self._position, self._position + len(piece)
        if before <= self._hashed < self._position:
            self._hash.update(piece[self._hashed - before :])
            self._hashed = self._position
        return piece
