"""Downloads over HTTP: one pool for wheels and Debian packages, checked by digest while they arrive.

Proxies come from the usual variables (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), extra certificate authorities from
SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, as for uv, requests and OpenSSL.
"""

from __future__ import annotations

import functools
import hashlib
import os
import ssl
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipml.errors import BuildError, NotAllowedError, TryAgainError, UntrustedInputError
from shipml.oci.digest import Digest
from shipml.store import Store

if TYPE_CHECKING:
    import urllib3

__all__ = ["HttpClient", "redacted", "trust"]

_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 4
_CHUNK_BYTES = 1 << 20
_RETRIED = (408, 425, 429, 500, 502, 503, 504)


def redacted(url: str) -> str:
    """`url` without user, password, query and fragment: fit for messages."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def trust() -> ssl.SSLContext:
    """A TLS context that trusts the system's authorities and those that the environment names."""
    context = ssl.create_default_context()
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        bundle = os.environ.get(variable)
        if bundle and Path(bundle).is_file():
            context.load_verify_locations(bundle)
    return context


class HttpClient:
    """Fetches URLs with retries; safe to share between threads. urllib3 is imported with the first request."""

    def __init__(self, *, connections: int = 8) -> None:
        self._connections = connections

    def read(self, url: str, *, limit_bytes: int) -> bytes:
        """The body of `url`, at most `limit_bytes`.

        Raises:
            TryAgainError: the server could not be reached, or failed.
            NotAllowedError: the server demands credentials.
            BuildError: there is nothing at this address.
            UntrustedInputError: the body is larger than the limit.
        """
        body = bytearray()

        def take(chunk: bytes) -> None:
            body.extend(chunk)
            if len(body) > limit_bytes:
                raise UntrustedInputError(f"{redacted(url)} is larger than the {limit_bytes} bytes that it may have")

        self._fetch(url, take, body.clear)
        return bytes(body)

    def fetch_blob(
        self,
        url: str,
        digest: Digest,
        store: Store,
        *,
        size_bytes: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Path:
        """The file at `url` as a blob of the store, downloaded unless it is there already; returns its path.

        `progress` is called with the number of bytes that came in since the last call (negative when a download starts over).

        Raises:
            UntrustedInputError: size or digest differ from what they must be.
            TryAgainError, NotAllowedError, BuildError: as in `read`.
        """
        if store.has_blob(digest, size_bytes):
            return store.blob_path(digest)
        with store.lock(f"download-{digest.hex}"):
            if store.has_blob(digest, size_bytes):
                return store.blob_path(digest)
            with store.draft() as draft:
                hasher = hashlib.sha256()
                received_bytes = 0

                def take(chunk: bytes) -> None:
                    nonlocal received_bytes
                    received_bytes += len(chunk)
                    if size_bytes is not None and received_bytes > size_bytes:
                        raise UntrustedInputError(
                            f"{redacted(url)} is larger than the {size_bytes} bytes that the lock names"
                        )
                    hasher.update(chunk)
                    draft.stream.write(chunk)
                    progress(len(chunk))

                def start_over() -> None:
                    nonlocal hasher, received_bytes
                    progress(-received_bytes)
                    hasher, received_bytes = hashlib.sha256(), 0
                    draft.stream.seek(0)
                    draft.stream.truncate()

                self._fetch(url, take, start_over)
                if hasher.hexdigest() != digest.hex:
                    raise UntrustedInputError(
                        f"{redacted(url)} has the digest sha256:{hasher.hexdigest()}, not {digest} as the lock names",
                        hint="if the file was replaced on purpose, resolve again: shipml build --upgrade",
                    )
                return store.adopt(draft, digest)

    @functools.cached_property
    def _pool(self) -> urllib3.PoolManager:
        import urllib3  # noqa: PLC0415  (late: commands without downloads do not pay for it)

        return urllib3.PoolManager(**self._options())

    def _proxied(self, proxy: str) -> urllib3.PoolManager:
        import urllib3  # noqa: PLC0415

        return urllib3.ProxyManager(proxy, **self._options())

    def _options(self) -> dict[str, Any]:
        import urllib3  # noqa: PLC0415

        return {
            "ssl_context": trust(),
            "maxsize": self._connections,
            "timeout": urllib3.Timeout(connect=_TIMEOUT_SECONDS, read=_TIMEOUT_SECONDS),
            "retries": urllib3.Retry(
                total=_ATTEMPTS,
                backoff_factor=0.5,
                backoff_jitter=0.3,
                backoff_max=20,
                status_forcelist=_RETRIED,
                respect_retry_after_header=True,
                raise_on_status=False,
            ),
            "headers": {"User-Agent": "shipml", "Accept-Encoding": "identity"},
        }

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        parts = urllib.parse.urlsplit(url)
        proxy = urllib.request.getproxies().get(parts.scheme)
        if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
            return self._pool
        return self._proxied(proxy)

    def _fetch(self, url: str, take: Callable[[bytes], None], start_over: Callable[[], None]) -> None:
        """Give the body of `url` to `take` in pieces; `start_over` before a second attempt."""
        if url.startswith("file:"):
            _read_file(url, take)
            return
        import urllib3  # noqa: PLC0415

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = self._pool_for(url).request("GET", url, preload_content=False)
                try:
                    _check_status(response.status, url)
                    for chunk in response.stream(_CHUNK_BYTES):
                        take(chunk)
                finally:
                    response.release_conn()
            except urllib3.exceptions.HTTPError as error:
                if attempt == _ATTEMPTS or isinstance(error, urllib3.exceptions.MaxRetryError):
                    raise TryAgainError(
                        f"could not download {redacted(url)}: {_cause(error)}",
                        hint="check the network, proxy (HTTPS_PROXY) and certificate (SSL_CERT_FILE) settings",
                    ) from error
                start_over()
            else:
                return


def _read_file(url: str, take: Callable[[bytes], None]) -> None:
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                take(chunk)
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}") from error


def _check_status(status: int, url: str) -> None:
    if status in (401, 403, 407):
        raise NotAllowedError(
            f"{redacted(url)} answered {status}: not allowed",
            hint="give credentials for this host in ~/.netrc, or check the proxy",
        )
    if status in _RETRIED:
        raise TryAgainError(f"{redacted(url)} answered {status} again and again", hint="try again later")
    if status != 200:  # noqa: PLR2004
        raise BuildError(
            f"{redacted(url)} answered {status}", hint="the lock may be old; resolve again: shipml build --upgrade"
        )


def _cause(error: BaseException) -> str:
    """The innermost reason of a urllib3 error, in one line."""
    reason = getattr(error, "reason", None)
    while isinstance(reason, BaseException) and getattr(reason, "reason", None):
        reason = reason.reason  # type: ignore[attr-defined]
    return str(reason or error).splitlines()[0][:300]
