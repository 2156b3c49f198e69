"""One body on its way: resumed after a cut where that is safe (RFC 9110, section 14), and its failures explained."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipml.errors import (
    BuildError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
)
from shipml.http.retry import RETRIED, retry_after_seconds
from shipml.http.settings import netrc_credentials, redacted, split_credentials

if TYPE_CHECKING:
    import urllib3

__all__ = ["Download", "failure"]

_CHUNK_BYTES = 1 << 20
_SPAN_SECONDS = 30.0
_LEAST_BYTES_PER_SECOND = 500
_LONGEST_NUMBER = 18
_FORBIDDEN = (401, 403, 407)


class Download:
    """One body on its way, over as many responses as it takes."""

    def __init__(
        self,
        url: str,
        take: Callable[[bytes], None],
        start_over: Callable[[], None],
        *,
        authorization: Callable[[str], str] = lambda _: "",
        expect: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.url, self._credentials = split_credentials(url)
        if not self.url.lower().startswith(("http://", "https://")):
            raise BuildError(f"{redacted(url)} is not a URL that can be downloaded")
        self._credentials = self._credentials or authorization(self.url) or netrc_credentials(self.url)
        self._take = take
        self._expect = expect
        self._start_over = start_over
        self._received_bytes = self._furthest_bytes = 0
        self._validator = ""
        self.pause_seconds = 0.0
        """What the server asked to wait before the next attempt."""

    def headers(self) -> dict[str, str]:
        """Of the next request, which asks for the rest if that is safe."""
        headers = {"User-Agent": "shipml", "Accept-Encoding": "identity"}
        if self._credentials:
            headers["Authorization"] = self._credentials
        if self._received_bytes and self._validator:
            headers |= {"Range": f"bytes={self._received_bytes}-", "If-Range": self._validator}
        return headers

    def will_resume(self) -> bool:
        """Whether the last attempt went beyond all before it, and the next one may go on from there."""
        came = bool(self._validator) and self._received_bytes > self._furthest_bytes
        self._furthest_bytes = max(self._furthest_bytes, self._received_bytes)
        return came

    def receive(self, response: urllib3.BaseHTTPResponse) -> TryAgainError | None:
        """Take a response's body; returns what went wrong if another attempt may help."""
        if response.status in RETRIED:
            self.pause_seconds = retry_after_seconds(response.headers)
            asked = f", and asks to wait {self.pause_seconds:.0f} s" if self.pause_seconds else ""
            return TryAgainError(
                f"{redacted(self.url)} answered {response.status}{asked}", hint="run the same command again later"
            )
        if response.status == 416:  # noqa: PLR2004  (the rest that was asked for does not exist)
            self._forget()
            return TryAgainError(f"{redacted(self.url)} answered 416", hint="run the same command again later")
        is_rest = response.status == 206 and response.headers.get("Content-Range", "").startswith(  # noqa: PLR2004
            f"bytes {self._received_bytes}-"
        )
        if not is_rest:
            _check_status(response.status, self.url)
            self._forget()
        self._validator = _validator(response.headers)
        self._expect(self._received_bytes + _length(response.headers))
        pace = _Pace(time.monotonic())
        while chunk := response.read1(_CHUNK_BYTES, decode_content=False):
            self._received_bytes += len(chunk)
            self._take(chunk)
            if pace.is_too_slow(time.monotonic(), len(chunk)):
                return TryAgainError(
                    f"{redacted(self.url)} sends less than {_LEAST_BYTES_PER_SECOND} bytes a second",
                    hint="run the same command again later, or name another mirror or index",
                )
        return None

    def _forget(self) -> None:
        if self._received_bytes:
            self._start_over()
        self._received_bytes = 0
        self._validator = ""


@dataclass(slots=True)
class _Pace:
    """How fast a body comes in, looked at once in a while: a server that drips is not waited for."""

    since: float
    """When the current span began, on the monotonic clock."""
    span_bytes: int = 0

    def is_too_slow(self, now: float, count_bytes: int) -> bool:
        """Count what came; whether the span that ends now was too slow."""
        self.span_bytes += count_bytes
        seconds = now - self.since
        if seconds < _SPAN_SECONDS:
            return False
        slow = self.span_bytes < _LEAST_BYTES_PER_SECOND * seconds
        self.since, self.span_bytes = now, 0
        return slow


def _length(headers: Mapping[str, str]) -> int:
    """What the server says that it will send; 0 where it does not."""
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) <= _LONGEST_NUMBER else 0


def failure(error: Exception, url: str, what: str = "could not download {}") -> TryAgainError:
    """What to tell of a urllib3 error: returned if another attempt may help, else raised.

    `what` has a place for the URL.
    """
    import urllib3

    cause: BaseException = error
    while isinstance(inner := getattr(cause, "reason", None), BaseException):
        cause = inner
    text = str(cause).splitlines()[0][:300] if str(cause) else type(cause).__name__
    final: ShipmlError | None = None
    if "CERTIFICATE_VERIFY_FAILED" in text:
        final = UnavailableError(
            f"the certificate of {redacted(url)} is not trusted here: {text}",
            hint="if the authority is your own, name its PEM file: export SSL_CERT_FILE=…",
        )
    elif "Tunnel connection failed: 407" in str(error):
        final = NotAllowedError(
            f"the proxy demands credentials for {redacted(url)}",
            hint="give them in HTTPS_PROXY=http://USER:PASSWORD@HOST",
        )
    elif isinstance(error, urllib3.exceptions.LocationValueError):
        final = BuildError(f"{redacted(url)} is not a URL that can be asked")
    elif isinstance(cause, urllib3.exceptions.ResponseError):
        final = BuildError(f"{redacted(url)} leads nowhere: {text}")
    if final is not None:
        raise final from error
    again = TryAgainError(
        f"{what.format(redacted(url))}: {text}",
        hint="check the network, proxy (HTTPS_PROXY) and certificate (SSL_CERT_FILE) settings",
        said=text,
    )
    again.__cause__ = error
    return again


def _validator(headers: Mapping[str, str]) -> str:
    """What makes sure that the rest is of the same file (RFC 9110, section 13.1.5): a strong ETag, else the date."""
    tag = headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("Last-Modified", "")


def _check_status(status: int, url: str) -> None:
    if status in _FORBIDDEN:
        raise NotAllowedError(
            f"{redacted(url)} answered {status}: not allowed",
            hint="give credentials for this host in ~/.netrc, or check the proxy",
        )
    if status != 200:  # noqa: PLR2004
        raise BuildError(
            f"{redacted(url)} answered {status}", hint="the lock may be old; resolve again: shipml build --upgrade"
        )
