"""Each request that our own clients send, as a record of the logger `shipml.http`: method, address, status, id.

Nothing secret is in a record: an address has no user and no values in its query, and of the headers only those are
kept that a server sends to be passed on. Without a listener a record costs one comparison.
"""

from __future__ import annotations

import logging
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipml.http.settings import redacted

if TYPE_CHECKING:
    import urllib3

__all__ = ["LOGGER", "Exchange", "traced"]

LOGGER = logging.getLogger("shipml.http")

_REQUEST_IDS = ("x-ms-correlation-request-id", "x-ms-request-id", "x-request-id", "docker-request-id")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what became of it; the `args` of a record hold it."""

    method: str
    url: str
    """Without user, password and the values of its query."""
    status: int | None
    """None: there was no answer."""
    request_id: str = ""
    """What the server calls it, for its operators; "" where it does not say."""
    challenge: str = ""
    """WWW-Authenticate: what the server wants to see."""
    problem: str = ""
    """Why there was no answer."""

    def __str__(self) -> str:
        """On one line."""
        parts = [f"{self.method} {self.url}", str(self.status or self.problem)]
        parts += [f"WWW-Authenticate: {self.challenge}"] * bool(self.challenge)
        parts += [f"request id {self.request_id}"] * bool(self.request_id)
        return "  ".join(parts)


def traced(pool: type[Any]) -> type[Any]:
    """The same kind of `urllib3.HTTPConnectionPool`, which records each request, those after a redirect among them."""
    made: dict[str, Any] = {"urlopen": _urlopen(pool.urlopen)}
    return type(f"Recorded{pool.__name__}", (pool,), made)


def _urlopen(send: Callable[..., Any]) -> Callable[..., Any]:
    """`HTTPConnectionPool.urlopen`, recorded."""

    def urlopen(pool: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  (urllib3's)
        address = _without_values(url if "://" in url else f"{_origin(pool)}{url}")
        try:
            response = send(pool, method, url, *arguments, **options)
        except Exception as error:
            _record(Exchange(method, address, None, problem=type(error).__name__))
            raise
        headers = response.headers
        request_id = next((headers[name] for name in _REQUEST_IDS if name in headers), "")
        challenge = ", ".join(headers.getlist("WWW-Authenticate"))
        _record(Exchange(method, address, response.status, request_id, challenge))
        return response

    return urlopen


def _origin(pool: urllib3.HTTPConnectionPool) -> str:
    usual = {"http": 80, "https": 443}.get(pool.scheme or "")
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    return f"{pool.scheme}://{host}" + ("" if pool.port in (usual, None) else f":{pool.port}")


def _without_values(url: str) -> str:
    """`https://host/v2/?digest=sha256:…` as `https://host/v2/?digest=…`; user and password go, too."""
    query = urllib.parse.urlsplit(url).query
    names = "&".join(f"{part.partition('=')[0]}=…" for part in query.split("&"))
    return redacted(url) + (f"?{names}" if query else "")


def _record(exchange: Exchange) -> None:
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug("%s", exchange)
