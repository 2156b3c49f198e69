"""A first visit of an app, and requests of the user's, against small servers of our own on this machine."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from shipml.facts.smoke_request import SmokeRequest
from shipml.runtimes.asking.client import Client, LateError
from shipml.runtimes.asking.predict import difference, predict
from shipml.runtimes.asking.visits import first_visit
from shipml.runtimes.smoke import is_found
from shipml.store.evidence import Finding

Pages = Mapping[str, tuple[int, bytes]]
Serve = Callable[..., Client]

STREAMLIT_PAGE = b"<title>Streamlit</title>"
DASH_PAGE = b'<script id="_dash-config" type="application/json">{"requests_pathname_prefix":"/d/"}</script>'
GRADIO_PAGE = b"<script>window.gradio_config = {};</script><gradio-app></gradio-app>"
PAGES = json.dumps(
    [
        {
            "output": ".._pages_content.children..._pages_store.data..",
            "inputs": [{"id": "_pages_location", "property": "pathname"}],
            "state": [],
        }
    ]
).encode()
ON_LOAD = {
    "protocol": "sse_v3",
    "components": [{"id": 1, "props": {"value": "a"}}],
    "dependencies": [{"id": 0, "targets": [[2, "load"]], "inputs": [1], "backend_fn": True}],
}


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves pages by path (and method, where it is not GET): `serve({"/": (200, b"…")}, messages=[…])`."""
    servers = []

    def start(pages: Pages, messages: list[bytes] | None = None, seconds: float = 10.0) -> Client:
        handler = type("Handler", (_Handler,), {"pages": pages, "messages": messages})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = server.server_address
        return Client(lambda: socket.create_connection(("127.0.0.1", int(address[1]))), time.monotonic() + seconds)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    pages: Pages
    messages: list[bytes] | None

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self._stream()
        else:
            self._answer(self.path.partition("?")[0])

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(f"POST {self.path}", sent)

    def _answer(self, key: str, sent: bytes = b"") -> None:
        status, body = self.pages.get(key, (404, b""))
        if body == b"<echo>":
            body = json.dumps({"sent": sent.decode(), "headers": dict(self.headers.items())}).encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", body.decode())
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        if self.path != "/_stcore/stream" or self.messages is None:
            self._answer(self.path)
            return
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response_only(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())  # noqa: S324
        self.end_headers()
        self.rfile.read(2 + 4 + 2)  # the frame that asks for a run: two bytes, masked
        self.wfile.write(bytes([0x89, 1]) + b"?")
        self.rfile.read(2 + 4 + 1)  # its pong
        for message in self.messages:
            head = bytes([0x82, len(message)]) if len(message) < 126 else bytes([0x82, 126, *divmod(len(message), 256)])
            self.wfile.write(head + message)
        time.sleep(0.2)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return bytes([number << 3, content])
    length = bytes([len(content)]) if len(content) < 128 else bytes([len(content) & 0x7F | 0x80, len(content) >> 7])
    return bytes([number << 3 | 2]) + length + content


def _exception(kind: str, message: str, *trace: str, is_warning: bool = False) -> bytes:
    lines = b"".join(_field(3, line.encode()) for line in trace)
    inner = _field(1, kind.encode()) + _field(2, message.encode()) + lines + _field(5, int(is_warning))
    return _field(5, _field(3, _field(8, inner)))


NEW_SESSION = _field(4, _field(4, b"/app/ui/app.py"))
TRACE = ('File "/app/ui/app.py", line 3, in <module>', 'File "/opt/venv/lib/python3.13/site-packages/x.py", line 9')
OVER, AGAIN, NOT_COMPILED = _field(6, 0), _field(6, 2), _field(6, 1)


@pytest.mark.parametrize(
    ("messages", "passed", "told"),
    [
        ([NEW_SESSION, OVER], True, "app.py"),
        ([NEW_SESSION, _exception("KeyError", "'x'", *TRACE), OVER], False, "KeyError: 'x' (app.py:3)"),
        ([NEW_SESSION, _exception("FutureWarning", "x", is_warning=True), OVER], True, "app.py"),
        ([NEW_SESSION, _exception("KeyError", "'x'"), AGAIN, NEW_SESSION, OVER], True, "app.py"),
        ([NEW_SESSION, NOT_COMPILED, _field(10, _field(3, _field(1, b"SyntaxError")))], False, "SyntaxError"),
        ([b"\x07\x07\x07"], None, "not run"),
    ],
    ids=["ends", "raises", "warns", "runs again", "not compiled", "unknown messages"],
)
def test_a_streamlit_session(serve: Serve, messages: list[bytes], passed: bool | None, told: str) -> None:
    """The script runs as for a browser: what it raises fails, with the line of the project's own code."""
    pages = {"/": (200, STREAMLIT_PAGE), "/_stcore/health": (200, b"ok")}
    found = _visit(serve(pages, messages), "/")
    assert found is not None
    assert (found.passed, told in found.because) == (passed, True)


def test_a_streamlit_server_without_sessions(serve: Serve) -> None:
    """Where no session can be opened, that is what is said."""
    found = _visit(serve({"/": (200, STREAMLIT_PAGE), "/_stcore/health": (200, b"ok")}), "/")
    assert found is not None
    assert found.passed is None


@pytest.mark.parametrize(
    ("pages", "passed"),
    [
        ({"/d/_dash-layout": (200, b"{}"), "/d/_dash-dependencies": (200, b"[]")}, True),
        ({"/d/_dash-layout": (500, b"")}, False),
        ({"/d/_dash-layout": (200, b"{}"), "/d/_dash-dependencies": (500, b"")}, False),
        ({"/d/_dash-layout": (401, b"")}, None),
        (
            {
                "/d/_dash-layout": (200, b"{}"),
                "/d/_dash-dependencies": (
                    200,
                    PAGES,
                ),
                "POST /d/_dash-update-component": (500, b""),
            },
            False,
        ),
    ],
    ids=["works", "layout", "callbacks", "login", "first page"],
)
def test_a_dash_app(serve: Serve, pages: Pages, passed: bool | None) -> None:
    """What the page asks for first is asked for, below the app's own prefix."""
    found = _visit(serve({"/": (200, DASH_PAGE), **pages}), "/")
    assert found is not None
    assert found.passed is passed


@pytest.mark.parametrize(
    ("success", "passed"),
    [(b'{"msg": "process_completed", "success": true}', True), (b'{"msg": "x"}', True), (b"", True)],
)
def test_a_gradio_app(serve: Serve, success: bytes, passed: bool) -> None:
    """Its interface is asked for, and what it does on loading is done."""
    pages = {
        "/": (200, GRADIO_PAGE),
        "/config": (200, json.dumps(ON_LOAD | {"api_prefix": "/gradio_api"}).encode()),
        "/gradio_api/info": (200, b"{}"),
        "POST /gradio_api/queue/join": (200, b'{"event_id": "1"}'),
        "/gradio_api/queue/data": (200, b"data: " + success + b"\n\n"),
    }
    found = _visit(serve(pages), "/")
    assert found is not None
    assert found.passed is passed


@pytest.mark.parametrize("broken", ["/config", "/info", "/queue/data"])
def test_a_gradio_app_that_fails(serve: Serve, broken: str) -> None:
    """An answer of 500, or a function that raises when the page loads, fails it."""
    failed = b'data: {"msg": "process_completed", "success": false, "output": {"error": "no model"}}\n\n'
    pages = {
        "/": (200, GRADIO_PAGE),
        "/config": (200, json.dumps(ON_LOAD).encode()),
        "/info": (200, b"{}"),
        "POST /queue/join": (200, b"{}"),
        "/queue/data": (200, b'data: {"msg": "process_completed", "success": true}\n\n'),
    }
    found = _visit(serve({**pages, broken: (200, failed) if "queue" in broken else (500, b"")}), "/")
    assert found is not None
    assert found.passed is False


def test_other_servers_are_not_visited(serve: Serve) -> None:
    """A page that is none of those, or none at all, is nobody's failure."""
    assert _visit(serve({"/": (200, b"<p>streamlit is nice</p>")}), "/") is None
    assert _visit(serve({"/health": (200, b"ok")}), "/health") is None


@pytest.mark.parametrize("path", ["/_stcore/health", "/old"])
def test_the_way_to_the_page_is_found(serve: Serve, path: str) -> None:
    """From the health of Streamlit's server, and along redirects."""
    pages = {"/old": (302, b"/"), "/": (200, STREAMLIT_PAGE), "/_stcore/health": (200, b"ok")}
    found = _visit(serve(pages, [NEW_SESSION, OVER]), path)
    assert found is not None
    assert found.passed


def _visit(client: Client, path: str) -> Finding | None:
    return first_visit(client, client.request("GET", path))


def _predict(client: Client, **asked: Any) -> tuple[bool | None, str]:
    found = predict(client, SmokeRequest("/p", **asked), {"TOKEN": "t1"}, is_found)
    return found.passed, found.because


def test_a_request_is_sent_as_it_is_stated(serve: Serve) -> None:
    """Body, content type and headers, with the variables of the run in them."""
    client = serve({"POST /p": (200, b"<echo>")})
    asked = {"body": '{"x":1}', "content_type": "application/json", "headers": (("X-Key", "Bearer ${TOKEN}"),)}
    wanted = '{"sent": "{\\"x\\":1}", "headers": {"X-Key": "Bearer t1", "Content-Type": "application/json"}}'
    assert _predict(client, **asked, expect_json=wanted) == (True, "POST /p answered 200 as expected")
    assert _predict(client, **{**asked, "headers": (("X-Key", "${OTHER}"),)})[0] is False


@pytest.mark.parametrize(
    ("status", "asked", "passed"),
    [
        (200, {}, True),
        (204, {}, True),
        (404, {}, False),
        (404, {"status": 404}, True),
        (201, {"status": 200}, False),
        (200, {"expect": "lab.l"}, True),
        (200, {"expect": "probability"}, False),
        (200, {"expect_json": '{"label": "cat"}'}, True),
        (200, {"expect_json": '{"label": "dog"}'}, False),
        (200, {"expect_json": '["cat"]'}, False),
    ],
)
def test_the_answer_is_judged(serve: Serve, status: int, asked: dict[str, Any], passed: bool) -> None:
    """By its status, by an expression, or by the part of its JSON that must be there."""
    client = serve({"/p": (status, b"" if status == 204 else b'{"label": "cat", "score": 0.9}')})
    assert _predict(client, **asked)[0] is passed


@pytest.mark.parametrize(
    ("wanted", "found", "place"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""),
        ({"a": [1, 2]}, {"a": [1, 2.0000001]}, ""),
        ({"a": [1, 2]}, {"a": [1]}, "$.a"),
        ({"a": {"b": True}}, {"a": {"b": 1}}, "$.a.b"),
        ({"a": None}, {}, "$.a"),
        ([{"x": "y"}], [{"x": "z"}], "$[0].x"),
    ],
)
def test_where_an_answer_differs(wanted: object, found: object, place: str) -> None:
    """More keys and the last digits of numbers do not count; the first place that differs is named."""
    assert difference(wanted, found).partition(" ")[0] == place


def test_questions_end_with_their_time(serve: Serve) -> None:
    """A deadline that has passed is no answer of the server's."""
    with pytest.raises(LateError):
        _visit(serve({"/": (200, STREAMLIT_PAGE)}, seconds=-1.0), "/")
