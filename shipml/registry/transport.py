"""One request to a registry and its response over HTTP/1.1, and how often and after which pauses it is sent again."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from shipml.errors import (
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UntrustedInputError,
)
from shipml.events import Emit, Notice, ignore
from shipml.http import Pools, redacted
from shipml.http.connections import SlowHeadError
from shipml.http.download import failure
from shipml.http.retry import RETRIED, RetryPolicy, retry_after_seconds
from shipml.registry.address import INSECURE_REGISTRIES, Address, is_loopback
from shipml.registry.echoes import sent_secrets
from shipml.registry.errors import Response, said

if TYPE_CHECKING:
    import urllib3

__all__ = [
    "InterruptedRequestError",
    "LeastRate",
    "NoSuchHostError",
    "Response",
    "RetryPolicy",
    "Transport",
    "interrupted",
    "read_answer",
]

BLOCK_BYTES = 1 << 20
_CONNECTIONS = 16
_ANSWER_LIMIT_BYTES = 64 << 10
_TOO_MANY_REQUESTS = 429
_LONG_PAUSE_SECONDS = 5.0
"""From here on the user is told."""
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

Result = TypeVar("Result")


class InterruptedRequestError(TryAgainError):
    """A request failed in a way that may pass."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        asked_seconds: float = 0.0,
        status: int = 0,
        last: bool = False,
        said: str = "",
    ) -> None:
        super().__init__(message, hint=hint, said=said)
        self.asked_seconds = asked_seconds
        """What the registry asked to wait."""
        self.status = status
        """0: there was no answer."""
        self.is_last = last
        """Whether sending the same again now is useless: nothing listens there."""

    def with_credentials(self, used: str) -> InterruptedRequestError:
        """The same with the credentials that were used: limits depend on who asks."""
        return InterruptedRequestError(
            f"{self.message}; {used}",
            hint=self.hint,
            asked_seconds=self.asked_seconds,
            status=self.status,
            last=self.is_last,
            said=self.said,
        )


class NoSuchHostError(TryAgainError):
    """No server knows the name of the registry: it is spelled wrongly, or the network is away."""


class LeastRate:
    """Watches that a body arrives at a rate that ends some day: a server may send one byte a second for ever."""

    def __init__(self, url: str, *, grace_seconds: float = 15.0, bytes_per_second: int = 1000) -> None:
        self._url = url
        self._grace_seconds = grace_seconds
        self._bytes_per_second = bytes_per_second
        self._began_at_seconds = time.monotonic()
        self._came_bytes = 0

    def came(self, size_bytes: int) -> None:
        """Count what has arrived. Each period of grace is judged by itself.

        Raises:
            InterruptedRequestError: it was too little.
        """
        self._came_bytes += size_bytes
        elapsed_seconds = time.monotonic() - self._began_at_seconds
        if elapsed_seconds < self._grace_seconds:
            return
        if self._came_bytes < elapsed_seconds * self._bytes_per_second:
            raise InterruptedRequestError(
                f"{redacted(self._url)} sends too slowly: {self._came_bytes} bytes in {elapsed_seconds:.0f} s",
                hint="check the network and the registry, then run the same command again",
                last=True,
            )
        self._began_at_seconds, self._came_bytes = time.monotonic(), 0


class Transport:
    """Sends requests of one registry; safe to share between threads."""

    def __init__(self, address: Address, retry: RetryPolicy, emit: Emit = ignore) -> None:
        self.retry = retry
        self.throttled = 0
        """How often the registry said that it is asked too much (429)."""
        self._address = address
        self._emit = emit
        self._pools = Pools(
            connections=_CONNECTIONS,
            block_bytes=BLOCK_BYTES,
            timeout_seconds=retry.timeout_seconds,
            check_peer=address.check_peer,
        )
        self._lock = threading.Lock()
        self._not_before_seconds = 0.0
        """By the monotonic clock: until then no thread asks, since the registry told one to wait."""
        self._said_until_seconds = 0.0
        """By the monotonic clock: until then other threads that wait for the same reason say nothing."""
        self._has_answered = False

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterator[bytes] | None = None,
        *,
        patience: int = 1,
    ) -> urllib3.BaseHTTPResponse:
        """Ask once; the body is still to be read, and redirects are not followed.

        `patience`: by how much longer than usual the answer may take to begin.

        Raises:
            InterruptedRequestError: no answer, or one that says to ask again.
            ShipmlError: what sending the same again would not change (certificates, proxies, unknown hosts).
        """
        import urllib3

        direct = self._address.is_loopback and self._address.is_own(url)
        timeout_seconds = self.retry.timeout_seconds
        headers = {"User-Agent": "shipml", "Accept-Encoding": "identity", **headers}
        try:
            response = self._pools.pool_for(url, direct=direct).request(
                method,
                url,
                body=body,
                headers=headers,
                retries=False,
                timeout=urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds * patience),
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise interrupted(error, url, has_answered=self._has_answered) from error
        self._has_answered = True
        if response.status in RETRIED:
            raise self._asked_to_wait(response, url, sent_secrets(headers, body))
        return response

    def with_retries(self, action: Callable[[], Result], *, advanced: Callable[[], bool] = lambda: False) -> Result:
        """The result of `action`, which is called again after it was interrupted.

        `advanced`: whether the last call got further; attempts then count again from 1.

        Raises:
            InterruptedRequestError: it was interrupted too often, or the registry asks to wait for too long.
        """
        attempt = 1
        while True:
            self._wait()
            try:
                return action()
            except InterruptedRequestError as wrong:
                attempt = 1 if advanced() else attempt
                if wrong.is_last or self.retry.gives_up(attempt, wrong.asked_seconds):
                    raise
                attempt += 1
                self._pause(wrong, attempt, self.retry.before_seconds(attempt, wrong.asked_seconds))

    def _pause(self, wrong: InterruptedRequestError, attempt: int, pause_seconds: float) -> None:
        now_seconds = time.monotonic()
        with self._lock:
            is_news = pause_seconds >= _LONG_PAUSE_SECONDS and now_seconds >= self._said_until_seconds
            if is_news:
                self._said_until_seconds = now_seconds + pause_seconds
        if is_news:
            attempts = f"attempt {attempt} of {self.retry.attempts}"
            self._emit(Notice(f"{wrong.message}; {attempts} in {pause_seconds:.0f} s"))
        time.sleep(pause_seconds)

    def _wait(self) -> None:
        with self._lock:
            left_seconds = self._not_before_seconds - time.monotonic()
        if left_seconds > 0:
            time.sleep(left_seconds)

    def _asked_to_wait(
        self, response: urllib3.BaseHTTPResponse, url: str, secrets: tuple[str, ...]
    ) -> InterruptedRequestError:
        asked_seconds = retry_after_seconds(response.headers)
        status, words = response.status, ""
        with contextlib.suppress(ShipmlError):
            words = said(read_answer(response, url), secrets)
        with self._lock:
            if status == _TOO_MANY_REQUESTS:
                self.throttled += 1
                if asked_seconds <= self.retry.longest_asked_seconds:
                    self._not_before_seconds = max(self._not_before_seconds, time.monotonic() + asked_seconds)
        asked = f", and asks to wait {asked_seconds:.0f} s" if asked_seconds else ""
        return InterruptedRequestError(
            f"{redacted(url)} answered {status}{words}{asked}",
            hint="run the same command again later",
            asked_seconds=asked_seconds,
            status=status,
            said=words,
        )


def interrupted(error: Exception, url: str, *, has_answered: bool = True) -> InterruptedRequestError:
    """A urllib3 error as one after which another attempt may succeed; others are raised.

    `has_answered`: whether the registry has answered before, so that a refused connection may be a restart.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    cause = _os_error(error)
    if getattr(cause, "reason", "") == "WRONG_VERSION_NUMBER":
        raise UnavailableError(
            f"{redacted(url)} does not speak TLS",
            hint=f"if it is inside your own network: export {INSECURE_REGISTRIES}={host}",
        ) from error
    wrong = failure(error, url, "the answer of {} was incomplete")
    if isinstance(cause, socket.gaierror):
        if cause.errno in _NO_SUCH_NAME:
            raise NoSuchHostError(
                f"{parts.hostname} does not resolve: there is no such host (DNS)",
                hint="check how the registry is spelled, and the network",
            ) from error
        return InterruptedRequestError(f"{parts.hostname} cannot be resolved (DNS): {cause.strerror}", hint=wrong.hint)
    if isinstance(cause, ConnectionRefusedError) and not has_answered and is_loopback(parts.hostname or ""):
        return InterruptedRequestError(
            f"nothing listens on {host}", hint="start the registry, or correct the port", last=True
        )
    if isinstance(cause, SlowHeadError):
        return InterruptedRequestError(f"{redacted(url)} answers too slowly", hint=wrong.hint, last=True)
    if _is_unreachable(error) and cause is not None and cause.strerror:
        return InterruptedRequestError(f"{host} cannot be reached: {cause.strerror}", hint=wrong.hint)
    return InterruptedRequestError(wrong.message, hint=wrong.hint)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it, as urllib3 (`reason`) and Python (`__cause__`) keep it."""
    seen: list[BaseException] = []
    left: list[object] = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            left += [one.__cause__, one.__context__, getattr(one, "reason", None)]
    return iter(seen)


def _os_error(error: BaseException) -> OSError | None:
    return next((one for one in _causes(error) if isinstance(one, OSError)), None)


def _is_unreachable(error: BaseException) -> bool:
    import urllib3

    return any(isinstance(one, urllib3.exceptions.NewConnectionError) for one in _causes(error))


def read_answer(response: urllib3.BaseHTTPResponse, url: str, limit_bytes: int = _ANSWER_LIMIT_BYTES) -> Response:
    """Read an answer to its end, so that its connection can be used again.

    Raises:
        UntrustedInputError: it is larger than `limit_bytes`.
        InterruptedRequestError: it was cut, or comes too slowly.
    """
    import urllib3

    rate = LeastRate(url)
    data = bytearray()
    try:
        while len(data) <= limit_bytes and (piece := response.read1(limit_bytes + 1 - len(data))):
            data += piece
            rate.came(len(piece))
    except urllib3.exceptions.HTTPError as error:
        response.close()
        raise interrupted(error, url) from error
    except InterruptedRequestError:
        response.close()
        raise
    if len(data) > limit_bytes:
        response.close()
        raise UntrustedInputError(f"{redacted(url)} answers with more than {limit_bytes} bytes")
    response.release_conn()
    return Response(response.status, response.headers, bytes(data), url)
