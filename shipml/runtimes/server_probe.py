"""Asks a program's server until it answers well; in a sandbox over TCP sockets that were made inside its network."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time

__all__ = ["ServerProbe"]

_PAUSE_SECONDS = 0.1
_ANSWER_SECONDS = 10.0


class ServerProbe:
    """A thread that asks `http://127.0.0.1:port/path` until 2xx or 3xx comes, or `stop` is called."""

    def __init__(self, channel: socket.socket | None, port: int, path: str) -> None:
        """`channel` is the probe socket of `inside.protocol`; None asks from this machine's own network."""
        self.url = f"http://127.0.0.1:{port}{path}"
        self.status: int | None = None
        """The last answer."""
        self._channel = channel
        self._port = port
        self._path = path
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_good, name="server-probe", daemon=True)

    @property
    def answered_well(self) -> bool:
        """Whether the last answer was 2xx or 3xx."""
        return self.status is not None and 200 <= self.status < 400  # noqa: PLR2004  (RFC 9110, section 15)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking, and wait for the thread; a question on its way is let go."""
        self._stopped.set()
        if self._channel:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(_PAUSE_SECONDS)

    def _ask_until_good(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.status = self._ask()
                if self.answered_well:
                    return
            time.sleep(_PAUSE_SECONDS)

    def _ask(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        with contextlib.closing(connection), self._socket() as connected:
            connected.settimeout(_ANSWER_SECONDS)
            connected.connect(("127.0.0.1", self._port))
            connection.sock = connected
            connection.request("GET", self._path, headers={"User-Agent": "shipml", "Connection": "close"})
            return connection.getresponse().status

    def _socket(self) -> socket.socket:
        if self._channel is None:
            return socket.socket()
        self._channel.send(b"socket")
        packet, descriptors, _, _ = socket.recv_fds(self._channel, 64, 1)
        if not packet or not descriptors:
            raise ConnectionError("the sandbox has ended")
        return socket.socket(fileno=descriptors[0])
