"""What every stand-in is made of: an HTTP/1.1 server on a loopback port, with or without TLS, that logs requests."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qs, unquote, urlsplit

from tests.peers.request_body import Body
from tests.peers.request_log import RequestLog, Seen

__all__ = ["Answer", "Handler", "Request", "StandIn"]

_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    """Decoded, without the query."""
    target: str
    """As it stood in the request line."""
    query: Mapping[str, list[str]]
    headers: Message
    body: Body

    def asked(self, name: str) -> str:
        """A parameter of the query, "" where it is missing."""
        return self.query.get(name, [""])[0]

    def form(self) -> dict[str, str]:
        """The body as application/x-www-form-urlencoded; of repeated fields the values with blanks between them."""
        fields = parse_qs(self.body.read_all().decode(), keep_blank_values=True)
        return {name: " ".join(values) for name, values in fields.items()}

    def json(self) -> Any:
        """The body as JSON; {} where there is none."""
        return json.loads(self.body.read_all() or b"{}")

    @property
    def base(self) -> str:
        """Scheme and host under which the client knows us, where that is over TLS."""
        return f"https://{self.headers['Host']}"

    @property
    def bearer(self) -> str:
        """The token of `Authorization: Bearer`, "" where there is none."""
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        return value.strip() if kind.lower() == "bearer" else ""


@dataclass(slots=True)
class Answer:
    """What a stand-in says, and what its log is to keep of it."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    """An iterable is sent in chunks, unless the headers have a Content-Length."""
    headers: dict[str, str] = field(default_factory=dict)
    identity: str = ""
    """Who asked, by name."""
    scopes: tuple[str, ...] = ()
    note: str = ""
    """What else a test may want to know, such as the fault that was hit; never a secret."""

    @classmethod
    def of(cls, document: object, status: int = 200, *, identity: str = "", **headers: str) -> Answer:
        """JSON; `Retry_After="0"` sets the header Retry-After."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(document).encode()
        return cls(status, body, {"Content-Type": "application/json; charset=utf-8"} | named, identity)


Handler = Callable[[Request], Answer]


class StandIn:
    """A server that is up once it is made; `close` ends it."""

    def __init__(self, name: str, handle: Handler, *, log: RequestLog, tls: ssl.SSLContext | None = None) -> None:
        """Serve `handle` in threads; `name` is the service's in the log."""
        self.name = name
        self._server = _Server(name, handle, log, tls)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name=name, daemon=True)
        self._thread.start()

    def take(self, connection: socket.socket, address: Any) -> None:
        """Serve a connection that somebody else accepted, to its end."""
        with self._server.secured(connection) as secured:
            self._server.finish_request(secured, address)

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, name: str, handle: Handler, log: RequestLog, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.name, self.handle, self.log, self._tls = name, handle, log, tls

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        return self.secured(connection), address

    def secured(self, connection: socket.socket) -> socket.socket:
        """With TLS where we have it; the handshake is the thread's matter, not the listener's."""
        connection.settimeout(_TIMEOUT_SECONDS)
        if self._tls is None:
            return connection
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away or do not trust us are their own matter."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def version_string(self) -> str:
        return "stand-in"

    def log_message(self, *_: object) -> None:
        """There is a log of our own."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        body = Body.of(cast("BinaryIO", self.rfile), self.headers)
        request = Request(self.command, unquote(parts.path), self.path, query, self.headers, body)
        try:
            answer = self.server.handle(request)
        except Exception:  # noqa: BLE001  (a mistake of ours must fail the test that meets it, not hang it)
            self.server.log.mistakes.append(traceback.format_exc())
            answer = Answer(500, b"the stand-in is broken", {"Content-Type": "text/plain"})
        self.server.log.add(
            Seen(
                self.server.name,
                request.method,
                request.path,
                {name: values[0] for name, values in query.items() if name != "sig"},
                answer.status,
                answer.identity,
                answer.scopes,
                answer.note,
                request.headers.get("Host", ""),
            )
        )
        try:
            body.drain()
            self._send(answer)
        except OSError:
            self.close_connection = True
        finally:
            if (close := getattr(answer.body, "close", None)) is not None:
                close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  (http.server's names)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        lengths = {name.lower() for name in answer.headers}
        chunked = not isinstance(answer.body, bytes) and "content-length" not in lengths
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif isinstance(answer.body, bytes) and "content-length" not in lengths:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # TLS errors are, too
            super().handle()
