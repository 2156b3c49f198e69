"""A real docker-registry behind a stand-in: it verifies the tokens that the stand-in signs."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from tests.peers.need import need
from tests.peers.registry import Registry
from tests.peers.stand_in_http import Answer, Request
from tests.peers.stand_in_tls import Authority

__all__ = ["RegistryBehind", "Starter", "need_registry"]

_PIECE_BYTES = 1 << 20
_PASSED_ON = ("accept", "authorization", "content-range", "content-type", "range", "if-none-match")
_NOT_PASSED_BACK = frozenset({"connection", "transfer-encoding", "date", "server", "content-encoding", "keep-alive"})


def need_registry() -> None:
    """Skip the test where there can be no registry; to be asked from the test's own thread."""
    need("docker-registry", "unshare", "setpriv", root=True)


class Starter:
    """Starts programs from a thread of its own that lives until `close`: the kernel ends them with it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "starter")
        self._started: list[Registry] = []

    def registry(self, auth: dict[str, Any]) -> Registry:
        """A docker-registry."""
        started = self._thread.submit(lambda: Registry(auth=auth)).result()
        self._started.append(started)
        return started

    def close(self) -> None:
        """Stop them all."""
        for started in self._started:
            started.__exit__()
        self._thread.shutdown()


class RegistryBehind:
    """Starts with its first request."""

    def __init__(self, starter: Starter, authority: Authority, *, realm: str, service: str, issuer: str) -> None:
        self._starter, self._authority, self._service, self._issuer = starter, authority, service, issuer
        self._auth = {
            "token": {
                "realm": realm,
                "service": service,
                "issuer": issuer,
                "rootcertbundle": str(authority.certificate),
            }
        }
        self._lock = threading.Lock()
        self._registry: Registry | None = None
        self._http = urllib3.PoolManager(maxsize=16, retries=False, timeout=urllib3.Timeout(120))

    @property
    def registry(self) -> Registry:
        """The program."""
        with self._lock:
            if self._registry is None:
                self._registry = self._starter.registry(self._auth)
            return self._registry

    def token(self, subject: str, access: Iterable[tuple[str, Iterable[str]]], *, issued_at: int, seconds: int) -> str:
        """An access token for repositories and actions on them.

        Args:
            subject: who asked.
            access: repositories (`registry:catalog` for the list of all) with actions.
            issued_at: seconds of the epoch.
            seconds: how long it is good.
        """
        granted = []
        for name, actions in access:
            kind = "registry" if name == "registry:catalog" else "repository"
            granted.append({"type": kind, "name": name.removeprefix("registry:"), "actions": sorted(actions)})
        return self._authority.sign(
            {
                "jti": str(uuid.uuid4()),
                "sub": subject,
                "iss": self._issuer,
                "aud": self._service,
                "iat": issued_at,
                "nbf": int(time.time()) - 900,  # docker-registry's clock is the machine's, whatever the cloud's says
                "exp": issued_at + seconds,
                "access": granted,
            }
        )

    def forward(self, request: Request, *, host: str, bearer: str = "") -> Answer:
        """Let the registry answer; `host` is what it must take for its own address, `bearer` replaces the token."""
        headers = {name: value for name in _PASSED_ON if (value := request.headers.get(name)) is not None}
        headers |= {"Host": host, "X-Forwarded-Proto": "https"}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        body: Any = None
        if request.body.length != 0:
            body = request.body
            if request.body.length is not None:
                headers["Content-Length"] = str(request.body.length)
            else:
                body = iter(lambda: request.body.read(_PIECE_BYTES), b"")
        elif request.method in {"POST", "PUT", "PATCH"}:
            headers["Content-Length"] = "0"
        answer = self._http.request(
            request.method,
            f"{self.registry.url}{request.target}",
            body=body,
            headers=headers,
            preload_content=False,
            redirect=False,
            decode_content=False,
        )
        back = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_BACK}
        if request.method == "HEAD" or "content-length" in {name.lower() for name in back}:
            return Answer(answer.status, _pieces(answer), back)
        return Answer(answer.status, answer.read(), back)

    def close(self) -> None:
        """Forget the connections."""
        self._http.clear()


def _pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(_PIECE_BYTES, decode_content=False)
    finally:
        answer.release_conn()
