"""An HTTP proxy in front of a real registry that hurts chosen requests, and counts all of them.

Start one by hand: `python -m tests.peers.fault_proxy HOST:PORT` prints its address and each request.
"""

from __future__ import annotations

import http.client
import itertools
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, Self

__all__ = ["Fault", "FaultProxy", "Seen"]

Kind = Literal["status", "reset", "lose-answer", "cut-request", "cut-answer", "stall", "wrong-digest", "damage"]

_PIECE_BYTES = 1 << 16
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection"})
_WRONG = "sha256:" + "0" * 64
_FAR_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request meets.

    - status: this answer, instead of the registry's; the registry never sees the request
    - reset: the connection is reset before the registry sees the request
    - lose-answer: the registry does its work, then the connection is reset
    - cut-request: the registry sees half of the body, then both connections are reset
    - cut-answer: half of the answer arrives, then the connection is reset
    - stall: nothing happens until the client gives up
    - wrong-digest: the answer's Docker-Content-Digest is another one
    - damage: one bit of the answer's body is another one
    """

    kind: Kind
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.status}" if self.kind == "status" else self.kind


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that arrived."""

    number: int
    """From 1."""
    method: str
    path: str
    """With its query."""
    status: int = 0
    """Of the answer; 0 for none."""
    body_bytes: int = 0
    """Of the request."""


@dataclass(slots=True)
class _Rule:
    fault: Fault
    applies: Callable[[Seen], bool]
    times_left: float


class FaultProxy:
    """Listens on a loopback port while `with` lasts."""

    def __init__(self, upstream: str) -> None:
        """Stand in front of the registry at `upstream` (host:port)."""
        self.upstream = upstream
        self.token_uses = 0
        """How many requests a token is good for; 0 lets everybody in without."""
        self.on_request: Callable[[Seen], None] = _nothing
        """Called with each request before it is answered."""
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._seen: dict[int, Seen] = {}
        self._numbers = itertools.count(1)
        self._tokens: dict[str, int] = {}
        self.at_work = 0
        """How many requests are being served now."""
        self.most_at_work = 0
        """The largest number of requests that were served at the same time."""
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler, self)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def seen(self) -> list[Seen]:
        """The requests, in the order in which they came."""
        with self._lock:
            return [self._seen[number] for number in sorted(self._seen)]

    def count(self, method: str = "", path: str = "") -> int:
        """How many requests had such a method, and a path in which the regular expression is found."""
        return sum(_is_meant(seen, method, path) for seen in self.seen)

    def heal(self) -> None:
        """Hurt nobody any more; count from 1 again."""
        with self._lock:
            self._rules.clear()
            self._seen.clear()
            self._tokens.clear()
            self._numbers = itertools.count(1)
            self.token_uses = self.most_at_work = 0
            self.on_request = _nothing
            self.released.set()
            self.released = threading.Event()

    def hurt(
        self, fault: Fault, *, number: int = 0, since: int = 0, method: str = "", path: str = "", times: float = 1
    ) -> None:
        """Let requests meet a fault.

        Args:
            fault: which.
            number: only the n-th request, from 1; 0: any.
            since: the n-th and those after it.
            method: only these; a regular expression.
            path: a regular expression that is found in path and query.
            times: how often; `math.inf` for always.
        """

        def applies(seen: Seen) -> bool:
            return number in (0, seen.number) and seen.number >= since and _is_meant(seen, method, path)

        with self._lock:
            self._rules.append(_Rule(fault, applies, times))

    # For the handler

    def begin(self, method: str, path: str) -> tuple[Seen, Fault | None]:
        """Note a request; returns what it is to meet."""
        with self._lock:
            seen = Seen(next(self._numbers), method, path)
            self._seen[seen.number] = seen
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
            for rule in self._rules:
                if rule.times_left > 0 and rule.applies(seen):
                    rule.times_left -= 1
                    return seen, rule.fault
        return seen, None

    def end(self, seen: Seen, *, status: int, body_bytes: int) -> None:
        """Note how it went."""
        with self._lock:
            self.at_work -= 1
            if self._seen.get(seen.number) == seen:
                self._seen[seen.number] = replace(seen, status=status, body_bytes=body_bytes)

    def new_token(self) -> str:
        """A token that is good for a while."""
        with self._lock:
            token = f"marked-token-{len(self._tokens) + 1}"
            self._tokens[token] = self.token_uses
            return token

    def lets_in(self, authorization: str) -> bool:
        """Whether a token is known and not used up; counts the use."""
        with self._lock:
            token = authorization.removeprefix("Bearer ")
            left = self._tokens.get(token, 0)
            self._tokens[token] = left - 1
            return left > 0


def _nothing(seen: Seen) -> None:
    """Do nothing."""


def _is_meant(seen: Seen, method: str, path: str) -> bool:
    return (not method or re.fullmatch(method, seen.method) is not None) and re.search(path, seen.path) is not None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are what this is for."""


class _Gone(Exception):  # noqa: N818  (it ends a connection, nothing is wrong)
    """The connection is to be reset now."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with a connection of its own to the registry."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = _PIECE_BYTES
    server: _Server
    to_registry: http.client.HTTPConnection | None = None
    verbose: ClassVar[bool] = False

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def finish(self) -> None:
        if self.to_registry is not None:
            self.to_registry.close()
        super().finish()

    def _serve(self) -> None:
        proxy = self.server.proxy
        seen, fault = proxy.begin(self.command, self.path)
        self._status = self._read_bytes = 0
        proxy.on_request(seen)
        try:
            self._answer(fault or Fault("status", 0))
            self.wfile.flush()
        except (_Gone, OSError, http.client.HTTPException):
            self._reset()
        finally:
            proxy.end(seen, status=self._status, body_bytes=self._read_bytes)
            if self.verbose:
                print(seen.number, self.command, self.path, self._status, fault or "", flush=True)  # noqa: T201

    def _answer(self, fault: Fault) -> None:
        proxy = self.server.proxy
        if fault.kind == "reset":
            raise _Gone
        if fault.kind == "stall":
            proxy.released.wait(_FAR_SECONDS)
            raise _Gone
        if fault.kind == "status" and fault.status:
            self._drain()
            self._say(fault.status, fault.headers, fault.body)
        elif self.path.partition("?")[0] == "/token":
            self._drain()
            self._say(200, {}, b'{"token": "%s", "expires_in": 300}' % proxy.new_token().encode())
        elif proxy.token_uses and not proxy.lets_in(self.headers.get("Authorization", "")):
            self._drain()
            self._say(401, {"WWW-Authenticate": self._challenge()}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
        else:
            self._pass_on(fault)

    def _challenge(self) -> str:
        challenge = f'Bearer realm="http://{self.server.proxy.host}/token",service="the-registry"'
        if found := re.match(r"/v2/(.+)/(?:manifests|blobs|tags)/", self.path):
            challenge += f',scope="repository:{found[1]}:pull,push"'
        return challenge

    def _say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._status = status
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # The real registry

    def _pass_on(self, fault: Fault) -> None:
        answer = self._ask(fault)
        if fault.kind == "lose-answer":
            answer.read()
            raise _Gone
        status = f"{self.protocol_version} {answer.status} {answer.reason}\r\n"
        fields = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
        if fault.kind == "wrong-digest":
            fields = [(name, value) for name, value in fields if name != "Docker-Content-Digest"]
            fields.append(("Docker-Content-Digest", _WRONG))
        head = (status + "".join(f"{name}: {value}\r\n" for name, value in fields)).encode("latin-1")
        self._status = answer.status
        if fault.kind == "cut-answer":
            body = answer.read()
            self.wfile.write(head + b"\r\n" + body[: len(body) // 2] if body else head[: len(head) // 2])
            self.wfile.flush()
            raise _Gone
        if self.command != "HEAD" and answer.length is None and answer.status not in (204, 304):
            body = answer.read()
            head += b"Content-Length: %d\r\n" % len(body)
            self.wfile.write(head + b"\r\n" + body)
            return
        self.wfile.write(head + b"\r\n")
        while piece := answer.read(_PIECE_BYTES):
            if fault.kind == "damage":
                piece = bytes([piece[0] ^ 1]) + piece[1:]
                fault = Fault("status")
            self.wfile.write(piece)

    def _ask(self, fault: Fault) -> http.client.HTTPResponse:
        if self.to_registry is None:
            self.to_registry = http.client.HTTPConnection(self.server.proxy.upstream, timeout=_FAR_SECONDS)
        connection = self.to_registry
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP and not (name == "Authorization" and self.server.proxy.token_uses):
                connection.putheader(name, value)
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        length = int(self.headers.get("Content-Length") or 0)
        if fault.kind == "cut-request" and (length or chunked):
            connection.send(b"%x\r\n" % length if chunked else self.rfile.read(length // 2))
            raise _Gone
        for piece in self._body():
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.send(b"0\r\n\r\n")
        elif fault.kind == "cut-request":
            raise _Gone
        return connection.getresponse()

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self._read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self._read(min(left, _PIECE_BYTES))
            left -= len(piece)
            yield piece

    def _read(self, size: int) -> bytes:
        piece = self.rfile.read(size)
        self._read_bytes += len(piece)
        if len(piece) < size:
            raise _Gone
        return piece

    def _drain(self) -> None:
        for _ in self._body():
            pass

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for stream in (self.rfile, self.wfile):
            try:
                stream.close()
            except OSError:
                continue
        self.connection.close()
        if self.to_registry is not None:
            self.to_registry.close()
            self.to_registry = None


def main(upstream: str) -> None:
    """Stand in front of a registry until Ctrl-C."""
    _Handler.verbose = True
    with FaultProxy(upstream) as proxy:
        print(f"http://{proxy.host} in front of {upstream}", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
