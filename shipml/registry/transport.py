"""One request to a registry and its answer over HTTP/1.1, and how often and after which pauses it is asked again."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from shipml.errors import (
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UntrustedInputError,
)
from shipml.events import Emit, Notice, ignore
from shipml.http import Pools, redacted
from shipml.http.download import RETRIED, failure, retry_after_seconds
from shipml.registry.address import INSECURE_REGISTRIES, Address
from shipml.registry.errors import Answer, said

if TYPE_CHECKING:
    import urllib3

__all__ = ["Answer", "InterruptedRequestError", "Pauses", "Transport", "interrupted", "read_answer"]

BLOCK_BYTES = 1 << 20
_CONNECTIONS = 16
_ANSWER_LIMIT_BYTES = 64 << 10
_TOO_MANY_REQUESTS = 429
_LONG_PAUSE_SECONDS = 5.0
"""From here on the user is told."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Pauses:
    """How patient a client is."""

    attempts: int = 6
    """At one request, the first included; a transfer that advances counts anew."""
    first_seconds: float = 0.5
    """Before the second attempt; each further pause is twice as long, give or take a quarter."""
    longest_seconds: float = 30.0
    longest_asked_seconds: float = 300.0
    """What a registry may ask to wait (Retry-After); more ends the command."""
    timeout_seconds: float = 60.0
    """Of connecting, and without any byte in either direction."""

    def before_seconds(self, attempt: int) -> float:
        """The pause before the attempt of this number, from 2 on."""
        pause_seconds: float = min(self.first_seconds * 2 ** (attempt - 2), self.longest_seconds)
        return pause_seconds * random.uniform(0.75, 1.25)  # noqa: S311  (spreads clients, hides nothing)


class InterruptedRequestError(TryAgainError):
    """A request failed in a way that may pass."""

    def __init__(
        self, message: str, *, hint: str = "", said: str = "", asked_seconds: float = 0.0, status: int = 0
    ) -> None:
        super().__init__(message, hint=hint, said=said)
        self.asked_seconds = asked_seconds
        """What the registry asked to wait."""
        self.status = status
        """0: there was no answer."""


class Transport:
    """Sends requests of one registry; safe to share between threads."""

    def __init__(self, address: Address, pauses: Pauses, emit: Emit = ignore) -> None:
        self.pauses = pauses
        self.throttled = 0
        """How often the registry said that it is asked too much (429)."""
        self._address = address
        self._emit = emit
        self._pools = Pools(connections=_CONNECTIONS, block_bytes=BLOCK_BYTES, timeout_seconds=pauses.timeout_seconds)
        self._lock = threading.Lock()
        self._not_before_seconds = 0.0
        """By the monotonic clock: until then no thread asks, since the registry told one to wait."""

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
            ShipmlError: what sending the same again would not mend (certificates, proxies).
        """
        import urllib3

        direct = self._address.is_loopback and self._address.is_own(url)
        timeout_seconds = self.pauses.timeout_seconds
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
            raise interrupted(error, url) from error
        if response.status in RETRIED:
            raise self._asked_to_wait(response, url)
        return response

    def patiently(self, action: Callable[[], Result], *, advanced: Callable[[], bool] = lambda: False) -> Result:
        """The result of `action`, which is called again after it was interrupted; `advanced`: attempts count anew.

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
                if attempt == self.pauses.attempts or wrong.asked_seconds > self.pauses.longest_asked_seconds:
                    raise
                attempt += 1
                self._pause(wrong, _spread(wrong.asked_seconds) or self.pauses.before_seconds(attempt))

    def _pause(self, wrong: InterruptedRequestError, pause_seconds: float) -> None:
        if pause_seconds >= _LONG_PAUSE_SECONDS:
            self._emit(Notice(f"{wrong.message}; trying again in {pause_seconds:.0f} s"))
        time.sleep(pause_seconds)

    def _wait(self) -> None:
        with self._lock:
            left_seconds = self._not_before_seconds - time.monotonic()
        if left_seconds > 0:
            time.sleep(left_seconds)

    def _asked_to_wait(self, response: urllib3.BaseHTTPResponse, url: str) -> InterruptedRequestError:
        asked_seconds = retry_after_seconds(response.headers)
        status, words = response.status, ""
        with contextlib.suppress(ShipmlError):
            words = said(read_answer(response, url))
        with self._lock:
            if status == _TOO_MANY_REQUESTS:
                self.throttled += 1
                if asked_seconds <= self.pauses.longest_asked_seconds:
                    self._not_before_seconds = max(self._not_before_seconds, time.monotonic() + asked_seconds)
        asked = f", and asks to wait {asked_seconds:.0f} s" if asked_seconds else ""
        return InterruptedRequestError(
            f"{redacted(url)} answered {status}{words}{asked}",
            hint="run the same command again later",
            said=words,
            asked_seconds=asked_seconds,
            status=status,
        )


def _spread(asked_seconds: float) -> float:
    """A little longer than asked, each thread differently."""
    spread_seconds: float = asked_seconds * random.uniform(1, 1.1)  # noqa: S311  (as above)
    return spread_seconds


def interrupted(error: Exception, url: str) -> InterruptedRequestError:
    """A urllib3 error as one that another attempt may get over; others are raised."""
    wrong = failure(error, url, "{} gave no whole answer")
    host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
    if "WRONG_VERSION_NUMBER" in wrong.said:
        raise UnavailableError(
            f"{redacted(url)} does not speak TLS",
            hint=f"if it is inside your own network: export {INSECURE_REGISTRIES}={host}",
        ) from error
    if "[Errno -2]" in wrong.said or "nodename nor servname" in wrong.said:  # no server knows the name
        raise TryAgainError(
            f"{host} cannot be reached: no server knows its name (Name or service not known)",
            hint="check how the registry is spelled, and the network",
            said=wrong.said,
        ) from error
    message = wrong.message
    if "Failed to establish a new connection" in wrong.said:
        reason = re.sub(r"^.*new connection: (?:\[Errno -?\d+\] )?", "", wrong.said)
        message = f"{host} cannot be reached: {reason}"
    return InterruptedRequestError(message, hint=wrong.hint, said=wrong.said)


def read_answer(response: urllib3.BaseHTTPResponse, url: str, limit_bytes: int = _ANSWER_LIMIT_BYTES) -> Answer:
    """Read an answer to its end, so that its connection can be used again.

    Raises:
        UntrustedInputError: it is larger than `limit_bytes`.
        InterruptedRequestError: it was cut.
    """
    import urllib3

    try:
        data = bytearray()
        while len(data) <= limit_bytes and (piece := response.read(limit_bytes + 1 - len(data))):
            data += piece
    except urllib3.exceptions.HTTPError as error:
        response.close()
        raise interrupted(error, url) from error
    if len(data) > limit_bytes:
        response.close()
        raise UntrustedInputError(f"{redacted(url)} answers with more than {limit_bytes} bytes")
    response.release_conn()
    return Answer(response.status, response.headers, bytes(data), url)
