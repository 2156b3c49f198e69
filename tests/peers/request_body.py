"""A request's body as a stream, whether its length was said or it comes in chunks (RFC 9112, section 7.1)."""

from __future__ import annotations

import io
from email.message import Message
from typing import BinaryIO

__all__ = ["Body"]

_PIECE_BYTES = 1 << 20


class Body(io.RawIOBase):
    """Ends where the body ends, so that the connection can go on."""

    def __init__(self, stream: BinaryIO, length: int | None) -> None:
        """`length` in bytes; None for chunks."""
        self._stream = stream
        self.length = length
        self._left = length or 0
        self._ended = length == 0

    @classmethod
    def of(cls, stream: BinaryIO, headers: Message) -> Body:
        """The body that these headers announce."""
        chunked = "chunked" in (headers.get("Transfer-Encoding") or "").lower()
        return cls(stream, None if chunked else int(headers.get("Content-Length") or 0))

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end; all that is left where `size` is negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE_BYTES), b""))
        if self.length is None and not self._left and not self._ended:
            self._next_chunk()
        if self._ended:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data:
            raise ConnectionError("the client went away in the middle of the body")
        self._left -= len(data)
        if not self._left:
            if self.length is None:
                self._stream.readline()
            else:
                self._ended = True
        return data

    def _next_chunk(self) -> None:
        self._left = int(self._stream.readline().split(b";")[0] or b"0", 16)
        if not self._left:
            self._ended = True
            while self._stream.readline().strip():  # trailers
                pass

    def read_all(self) -> bytes:
        """All that is left."""
        return self.read(-1)

    def drain(self) -> None:
        """Read what nobody wanted."""
        while self.read(_PIECE_BYTES):
            pass
