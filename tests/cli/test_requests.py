"""`-vv` and SHIPML_LOG=http show requests, `-v` those that were refused; secrets are in neither."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.cli.conftest import Run


class _Refusing(BaseHTTPRequestHandler):
    """A registry whose token service gives no tokens."""

    def do_GET(self) -> None:
        host = self.headers["Host"]
        self.send_response(401)
        if self.path.startswith("/v2/"):
            self.send_header("WWW-Authenticate", f'Bearer realm="http://{host}/token",service="a-service"')
        self.send_header("X-Request-Id", "request-7")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[str]:
    """Its host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _promotion(registry: str) -> tuple[str, ...]:
    return (f"{registry}/team/app:1", "--to", f"{registry}/team/live:1")


_LOGIN = {"SHIPML_USERNAME": "ann", "SHIPML_PASSWORD": "hunter2-hunter2"}


@pytest.mark.parametrize(("words", "variables"), [(["-vv"], {}), ([], {"SHIPML_LOG": "http"})])
def test_each_request_is_shown(shipml: Run, registry: str, words: list[str], variables: dict[str, str]) -> None:
    """Method, address, status and the server's id; no password, and of a query the names alone."""
    done = shipml("promote", *_promotion(registry), *words, env={**_LOGIN, **variables})
    shown = [line for line in done.stderr.splitlines() if line.startswith("http ")]
    assert any(f"GET http://{registry}/v2/" in line and "401" in line and "request-7" in line for line in shown)
    tokens = [line for line in shown if f"GET http://{registry}/token" in line]
    assert tokens
    assert all("service=…" in line and "a-service" not in line for line in tokens)
    assert "hunter2" not in done.stdout + done.stderr


def test_a_refusal_is_shown_with_what_was_asked_for(shipml: Run, registry: str) -> None:
    """With -v a failed command names the requests that were refused, and what the server wanted."""
    done = shipml("promote", *_promotion(registry), "-v", env=_LOGIN)
    assert done.returncode == 4
    refused = [line for line in done.stderr.splitlines() if line.startswith("refused: ")]
    assert any(
        f"GET http://{registry}/v2/" in line and "401" in line and "WWW-Authenticate: Bearer" in line
        for line in refused
    )
    assert "http  " not in done.stderr
    assert "WWW-Authenticate" not in shipml("promote", *_promotion(registry), env=_LOGIN).stderr
