"""The client's half of a WebSocket (RFC 6455), as much of it as a visit takes."""

from __future__ import annotations

import base64
import os
import socket
import struct
from types import TracebackType
from typing import Self

__all__ = ["WebSocket", "WebSocketError"]

_MESSAGE_BYTES = 32 << 20
_HEADER_BYTES = 64 << 10
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_SWITCHING = b" 101 "


class WebSocketError(OSError):
    """The other side does not speak the protocol, or has closed the connection."""


class WebSocket:
    """One connection; use it in a `with` block."""

    def __init__(self, connected: socket.socket, path: str, protocol: str) -> None:
        """Shake hands over `connected`; raises WebSocketError (an OSError) where the server does not."""
        self._socket = connected
        self._buffer = bytearray()
        self._message = bytearray()
        try:
            self._shake_hands(path, protocol)
        except BaseException:
            connected.close()
            raise

    def _shake_hands(self, path: str, protocol: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            f"Sec-WebSocket-Protocol: {protocol}",
            "Sec-WebSocket-Version: 13",
            "User-Agent: shipml",
        )
        self._socket.sendall("\r\n".join((*lines, "", "")).encode())
        head = self._until(b"\r\n\r\n")
        if _SWITCHING not in head.partition(b"\r\n")[0]:
            raise WebSocketError(f"no web socket at {path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send a binary message."""
        self._send(_BINARY, data)

    def receive(self, timeout_seconds: float) -> bytes | None:
        """The next message; None where none comes in time.

        Raises:
            WebSocketError: it was closed, or a message is larger than 32 MiB.
            OSError: the connection broke.
        """
        self._socket.settimeout(timeout_seconds)
        while True:
            try:
                is_last, kind, payload = self._frame()
            except TimeoutError:
                return None
            if kind == _CLOSE:
                raise WebSocketError("closed")
            if kind == _PING:
                self._send(_PONG, payload)
            elif kind in (_CONTINUED, _TEXT, _BINARY):
                self._message += payload
                if len(self._message) > _MESSAGE_BYTES:
                    raise WebSocketError("a message is too large")
                if is_last:
                    message, self._message = bytes(self._message), bytearray()
                    return message

    def _frame(self) -> tuple[bool, int, bytes]:
        """One frame. What was read of one that is not whole yet stays for the next try."""
        self._fill(2)
        first, second = self._buffer[0], self._buffer[1]
        length, begin = second & 0x7F, 2
        if length == 126:  # noqa: PLR2004  (RFC 6455, section 5.2)
            self._fill(4)
            (length,), begin = struct.unpack_from(">H", self._buffer, 2), 4
        elif length == 127:  # noqa: PLR2004
            self._fill(10)
            (length,), begin = struct.unpack_from(">Q", self._buffer, 2), 10
        if length > _MESSAGE_BYTES:
            raise WebSocketError("a message is too large")
        self._fill(begin + length)
        payload = bytes(self._buffer[begin : begin + length])
        del self._buffer[: begin + length]
        return bool(first & 0x80), first & 0x0F, payload

    def _send(self, kind: int, data: bytes) -> None:
        mask = os.urandom(4)
        size = len(data)
        length = bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0xFE, size)  # noqa: PLR2004
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self._socket.sendall(bytes([0x80 | kind]) + length + mask + masked)

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count:
            data = self._socket.recv(1 << 16)
            if not data:
                raise WebSocketError("closed")
            self._buffer += data

    def _until(self, mark: bytes) -> bytes:
        while (at := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _HEADER_BYTES:
                raise WebSocketError("no end of the headers")
            self._fill(len(self._buffer) + 1)
        head = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return head
