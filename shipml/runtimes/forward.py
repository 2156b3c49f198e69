"""A port of 127.0.0.1 that leads to a program: bytes are pumped both ways, so websockets work as well as HTTP."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable

from shipml.errors import UnavailableError

__all__ = ["Connect", "Forwarder"]

_HOST = "127.0.0.1"
_PIECE_BYTES = 1 << 16
_WAITING = 128

Connect = Callable[[], socket.socket]
"""Connects to the program; raises OSError where it does not answer."""


class Forwarder:
    """Accepts connections from its making until `close`; `target` may be exchanged at any time."""

    def __init__(self, wanted_port: int, *, is_fixed: bool) -> None:
        """Listen at `wanted_port`, or at any free one where that is taken and not `is_fixed`.

        Raises:
            UnavailableError: the port is taken, or may not be used.
        """
        self.target: Connect | None = None
        """How the program is reached; None where there is none, and connections are closed at once."""
        self._listening = _listen(wanted_port, is_fixed=is_fixed)
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="forwarder", daemon=True).start()

    def close(self) -> None:
        """Stop listening, and end all connections."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            still_open = list(self._open)
        for one in still_open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), name="forwarded", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection, until both sides have ended."""
        target = self.target
        with client, contextlib.suppress(OSError):
            if target is None:
                return
            with target() as program:
                with self._lock:
                    self._open |= {client, program}
                try:
                    back = threading.Thread(target=_pump, args=(program, client), name="forwarded-back", daemon=True)
                    back.start()
                    _pump(client, program)
                    back.join()
                finally:
                    with self._lock:
                        self._open -= {client, program}


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes until `source` has said all; then `target` is told so."""
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE_BYTES):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _listen(port: int, *, is_fixed: bool) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
    except OSError as error:
        listening.close()
        if not is_fixed and port:
            return _listen(0, is_fixed=True)
        what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise UnavailableError(
            f"port {port} of this machine {what}", hint="name another one: shipml serve --port 8081"
        ) from error
    listening.listen(_WAITING)
    return listening
