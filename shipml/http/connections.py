"""Connections of our own: their other end is checked before they are used, and an answer's head has a time limit."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import urllib3

__all__ = ["SlowHeadError", "bounded_pools"]

_SLOWER = 2
"""A head may take so many times the timeout, which urllib3 counts from each byte again."""


class SlowHeadError(TimeoutError):
    """The head of an answer came, but so slowly that its end was not waited for."""


def bounded_pools(
    timeout_seconds: float, check_peer: Callable[[str, str], None] | None
) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """The kinds of pools for a `PoolManager`, by scheme.

    Args:
        timeout_seconds: without any byte; the head of an answer may take twice that, or twice a longer timeout of a
            request.
        check_peer: gets host name and address of each new connection, and raises where it must not be used.
    """
    return _made(timeout_seconds, check_peer)


@functools.lru_cache(maxsize=64)
def _made(timeout_seconds: float, check_peer: Callable[[str, str], None] | None) -> dict[str, Any]:
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Bounded(HTTPConnection):
        """Mixed into both kinds of connection."""

        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            try:
                if check_peer is not None:
                    check_peer(self.host, str(sock.getpeername()[0]))
            except BaseException:
                sock.close()
                raise
            return sock

        def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
            sock = self.sock
            own_seconds = self.timeout if isinstance(self.timeout, int | float) else 0.0  # of this request: patience
            limit_seconds = _SLOWER * max(timeout_seconds, own_seconds)
            was_slow = threading.Event()
            watch = threading.Timer(limit_seconds, _hang_up, (sock, was_slow))
            watch.daemon = True
            watch.start()
            try:
                response = super().getresponse()
            except OSError as error:
                if was_slow.is_set():
                    raise SlowHeadError from error
                raise
            finally:
                watch.cancel()
            if was_slow.is_set():  # http.client takes the end of the connection for the end of the head
                response.close()
                raise SlowHeadError
            return response

    class BoundedTls(Bounded, HTTPSConnection):
        """Over TLS."""

    class Plain(urllib3.HTTPConnectionPool):
        ConnectionCls = Bounded

    class Tls(urllib3.HTTPSConnectionPool):
        ConnectionCls = BoundedTls

    return {"http": Plain, "https": Tls}


def _hang_up(sock: socket.socket | None, was_slow: threading.Event) -> None:
    was_slow.set()
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
