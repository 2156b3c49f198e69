"""A small HTTP client for a server that is reached by sockets of somebody's making: every answer has a limit."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ANSWER_BYTES", "Answer", "Client", "LateError", "read_body"]

ANSWER_BYTES = 4 << 20
"""The most that is read of an answer."""
_PIECE_BYTES = 1 << 16
_REDIRECTS = 5
_LEAST_SECONDS = 0.1
_NO_HEADERS: Mapping[str, str] = {}


class LateError(TimeoutError):
    """The time for all questions is over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    path: str
    """Where it came from, after redirects."""

    @property
    def is_good(self) -> bool:
        """Whether it is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004  (RFC 9110, section 15)

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:  # noqa: ANN401 - whatever it holds
        """The body's document; None where it holds none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def read_body(response: http.client.HTTPResponse, most_bytes: int, deadline: float) -> bytes:
    """What there is of a body by `deadline`, as time.monotonic(): a stream of events has no end."""
    body = bytearray()
    while len(body) < most_bytes and time.monotonic() < deadline and (data := response.read1(_PIECE_BYTES)):
        body += data
    return bytes(body[:most_bytes])


class Client:
    """Asks one server, until `deadline`."""

    def __init__(self, connect: Callable[[], socket.socket], deadline: float) -> None:
        """With what makes connected sockets, and the time.monotonic() that ends all questions."""
        self._connect = connect
        self._deadline = deadline

    @property
    def left_seconds(self) -> float:
        """How long may still be asked; raises LateError where that is over."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise LateError
        return max(left, _LEAST_SECONDS)

    def connection(self) -> socket.socket:
        """A connection that waits for as long as may be asked; raises OSError."""
        left_seconds = self.left_seconds
        made = self._connect()
        made.settimeout(left_seconds)
        return made

    def get(self, path: str) -> Answer:
        """What the path answers, after redirects on the same server; errors as of `request`."""
        answer = self.request("GET", path)
        for _ in range(_REDIRECTS):
            place = answer.headers.get("location", "")
            if not (300 <= answer.status < 400 and place):  # noqa: PLR2004
                break
            parts = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://server{answer.path}", place))
            answer = self.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
        return answer

    def events(self, path: str, most_bytes: int) -> Iterator[dict[str, Any]]:
        """The JSON objects of a stream of events (text/event-stream), until it ends; errors as of `request`."""
        connection = http.client.HTTPConnection("127.0.0.1")
        with contextlib.closing(connection), self.connection() as connected:
            connection.sock = connected
            connection.request("GET", path, headers={"User-Agent": "shipml", "Accept": "text/event-stream"})
            response = connection.getresponse()
            while most_bytes > 0 and (line := response.readline(most_bytes)):
                most_bytes -= len(line)
                connected.settimeout(self.left_seconds)
                with contextlib.suppress(ValueError, RecursionError):
                    document = json.loads(line.removeprefix(b"data:"))
                    if isinstance(document, dict):
                        yield document

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Answer:
        """What one request is answered.

        Raises:
            OSError: the connection ended, or its time.
            http.client.HTTPException: the answer is none that HTTP knows.
        """
        connection = http.client.HTTPConnection("127.0.0.1")
        with contextlib.closing(connection), self.connection() as connected:
            connection.sock = connected
            sent = {"User-Agent": "shipml", "Connection": "close", **headers}
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, read_body(response, ANSWER_BYTES, self._deadline), path)
