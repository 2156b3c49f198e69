"""A real HTTP server on loopback whose answers a test writes: for what no honest registry would say."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["Asked", "Reply", "SmallServer", "serve"]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    client_port: int
    """Which connection it came over."""


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after_bytes: int | None = None
    """Hang up after so much of the body."""
    extra_headers: tuple[tuple[str, str], ...] = ()
    """Headers whose names come more than once."""


@dataclass
class SmallServer:
    """What runs, and what it was asked."""

    host: str
    answer: Callable[[Asked], Reply]
    """May be replaced while it runs."""
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}"

    def seen(self, method: str) -> list[Asked]:
        """The requests of one method."""
        return [asked for asked in self.asked if asked.method == method]


@contextlib.contextmanager
def serve(answer: Callable[[Asked], Reply], address: str = "127.0.0.1") -> Iterator[SmallServer]:
    """Run one on a free port."""
    server = SmallServer("", answer)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body, self.client_address[1])
            server.asked.append(asked)
            self._reply(server.answer(asked))

        def _reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            length = {} if "Transfer-Encoding" in reply.headers else {"Content-Length": str(len(reply.body))}
            headers = {**length, **reply.headers}
            for name, value in (*headers.items(), *reply.extra_headers):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body[: reply.cut_after_bytes])
            if reply.cut_after_bytes is not None:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815  (names that http.server wants)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            """Say nothing."""

    class Quiet(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that go away are part of these tests."""

    with Quiet((address, 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.host = f"{f'[{address}]' if ':' in address else address}:{listener.server_port}"
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
