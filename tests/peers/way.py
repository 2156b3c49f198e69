"""The way to the stand-ins under the names of the real services: an HTTP proxy for `CONNECT` (RFC 9110, 9.3.6).

Clients are given its address in HTTPS_PROXY and trust the stand-ins' CA; nothing else of them changes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import selectors
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.peers.request_log import RequestLog, Seen
from tests.peers.stand_in_http import StandIn
from tests.peers.stand_in_tls import Authority

__all__ = ["Way"]

_CONNECT_SECONDS = 15
_PIECE_BYTES = 1 << 16

Find = Callable[[str], StandIn | None]


class Way:
    """A proxy that is up once it is made."""

    def __init__(self, log: RequestLog, *, lets_through: bool = False) -> None:
        """By default other hosts are refused; `lets_through` connects to them."""
        self.log = log
        self.lets_through = lets_through
        self._hosts: dict[str, Callable[[str], StandIn | None]] = {}
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="way", daemon=True).start()

    def lead(self, pattern: str, to: StandIn | Find) -> None:
        """Hosts like `pattern` (`*` stands for anything) are this stand-in, or what the function finds for one."""
        self._hosts[pattern] = to if callable(to) else lambda _: to

    def find(self, host: str) -> StandIn | None:
        """Who answers for a host."""
        for pattern, find in self._hosts.items():
            if fnmatch.fnmatch(host.lower(), pattern):
                return find(host.lower())
        return None

    def environment(self, authority: Authority) -> dict[str, str]:
        """Variables with which clients go this way and trust the stand-ins, and whom this machine trusts besides."""
        bundle, own = str(authority.bundle), "127.0.0.1,localhost"
        trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"), bundle)
        proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.url)
        return trusted | proxies | {"NO_PROXY": own, "no_proxy": own}

    def close(self) -> None:
        """Take no more connections."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, way: Way) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.way = way

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are their own matter."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """There is a log of our own."""

    def do_CONNECT(self) -> None:
        self.close_connection = True
        way = self.server.way
        host, _, port = self.path.rpartition(":")
        stand_in = way.find(host)
        if stand_in is not None:
            self._accept()
            stand_in.take(self.connection, self.client_address)
            return
        if not way.lets_through:
            way.log.add(Seen("way", "CONNECT", self.path, {}, 502, "", (), "no such stand-in"))
            self.send_error(502, "there is no stand-in for this host")
            return
        try:
            there = socket.create_connection((host, int(port)), _CONNECT_SECONDS)
        except OSError:
            self.send_error(502)
            return
        with there:
            self._accept()
            _relay(self.connection, there)

    def _accept(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")


def _relay(here: socket.socket, there: socket.socket) -> None:
    """Pass bytes on in both directions until one side has ended."""
    with selectors.DefaultSelector() as ready, contextlib.suppress(OSError):
        ready.register(here, selectors.EVENT_READ, there)
        ready.register(there, selectors.EVENT_READ, here)
        while True:
            for key, _ in ready.select():
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(_PIECE_BYTES)
                if not data:
                    return
                key.data.sendall(data)
