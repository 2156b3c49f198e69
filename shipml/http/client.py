"""The client: pools, proxies, attempts and pauses."""

from __future__ import annotations

import hashlib
import os
import stat
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from shipml.errors import BuildError, TryAgainError, UntrustedInputError
from shipml.http.download import Download, failure
from shipml.http.logins import Logins
from shipml.http.pools import Pools
from shipml.http.retry import RetryPolicy
from shipml.http.room import Room
from shipml.http.settings import redacted
from shipml.oci.digest import Digest
from shipml.store import Store

__all__ = ["HttpClient"]

_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 18


class HttpClient:
    """Fetches URLs with retries; safe to share between threads. urllib3 is imported with the first request."""

    def __init__(self, *, connections: int = 8, first_pause_seconds: float = 0.5) -> None:
        self._retry = RetryPolicy(attempts=4, first_seconds=first_pause_seconds, longest_asked_seconds=60.0)
        self.logins = Logins()
        """Who one is to which server, besides ~/.netrc."""
        self._pools = Pools(connections=connections, block_bytes=_BLOCK_BYTES, timeout_seconds=_TIMEOUT_SECONDS)

    def read(self, url: str, *, limit_bytes: int) -> bytes:
        """The body of `url`, at most `limit_bytes`.

        Raises:
            TryAgainError: the server could not be reached, or failed.
            UnavailableError: its certificate is by an authority that is not trusted here.
            NotAllowedError: the server demands credentials.
            BuildError: there is nothing at this address.
            UntrustedInputError: the body is larger than the limit, or a redirect leaves https.
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

        `progress` is called with the number of bytes that came in since the last call, negative when a download
        starts over.

        Raises:
            UntrustedInputError: size or digest differ from what they must be.
            TryAgainError, UnavailableError, NotAllowedError, BuildError: as in `read`.
        """
        if store.has_blob(digest, size_bytes):
            return store.blob_path(digest)
        with store.lock(f"download-{digest.hex}"):
            if store.has_blob(digest, size_bytes):
                return store.blob_path(digest)
            with store.draft() as draft:
                hasher = hashlib.sha256()
                received_bytes = 0
                room = Room(store.home, redacted(url), stated_bytes=size_bytes)

                def take(chunk: bytes) -> None:
                    nonlocal received_bytes
                    received_bytes += len(chunk)
                    if size_bytes is not None and received_bytes > size_bytes:
                        raise UntrustedInputError(
                            f"{redacted(url)} is larger than the {size_bytes} bytes that the lock names"
                        )
                    room.check(received_bytes)
                    hasher.update(chunk)
                    draft.stream.write(chunk)
                    progress(len(chunk))

                def start_over() -> None:
                    nonlocal hasher, received_bytes
                    progress(-received_bytes)
                    hasher, received_bytes = hashlib.sha256(), 0
                    draft.stream.seek(0)
                    draft.stream.truncate()

                self._fetch(url, take, start_over, expect=room.expect)
                if size_bytes not in (None, received_bytes):
                    raise UntrustedInputError(
                        f"{redacted(url)} has {received_bytes} bytes, not the {size_bytes} that the lock names"
                    )
                if hasher.hexdigest() != digest.hex:
                    # what a file of this machine holds is nobody's business, not even as a digest
                    has = "another digest" if url.startswith("file:") else f"the digest sha256:{hasher.hexdigest()}"
                    raise UntrustedInputError(
                        f"{redacted(url)} has {has}, not {digest} as the lock names",
                        hint="if the file was replaced on purpose, resolve again: shipml build --upgrade",
                    )
                return store.adopt(draft, digest)

    def fetch_new(self, url: str, store: Store, *, limit_bytes: int) -> tuple[Digest, int]:
        """The file at `url`, of which nothing is known, as a blob of the store: its digest and size in bytes.

        Raises:
            UntrustedInputError: it is larger than `limit_bytes`.
            TryAgainError, UnavailableError, NotAllowedError, BuildError: as in `read`.
        """
        with store.draft() as draft:
            hasher, received_bytes = hashlib.sha256(), 0
            room = Room(store.home, redacted(url), stated_bytes=None)

            def take(chunk: bytes) -> None:
                nonlocal received_bytes
                received_bytes += len(chunk)
                if received_bytes > limit_bytes:
                    raise UntrustedInputError(f"{redacted(url)} is larger than the {limit_bytes} bytes allowed")
                room.check(received_bytes)
                hasher.update(chunk)
                draft.stream.write(chunk)

            def start_over() -> None:
                nonlocal hasher, received_bytes
                hasher, received_bytes = hashlib.sha256(), 0
                draft.stream.seek(0)
                draft.stream.truncate()

            self._fetch(url, take, start_over, expect=room.expect)
            digest = Digest(hasher.hexdigest())
            store.adopt(draft, digest)
            return digest, received_bytes

    def _fetch(
        self,
        url: str,
        take: Callable[[bytes], None],
        start_over: Callable[[], None],
        *,
        expect: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Give the body of `url` to `take` in pieces; `start_over` before one that starts again."""
        if url.startswith("file:"):
            read_file(url, take)
            return
        download = Download(url, take, start_over, authorization=self.logins.authorization, expect=expect)
        attempt = 0
        while True:
            attempt = 1 if download.will_resume() else attempt + 1
            wrong = self._attempt(download)
            if wrong is None:
                return
            if self._retry.gives_up(attempt, download.pause_seconds):
                raise wrong
            time.sleep(self._retry.before_seconds(attempt + 1, download.pause_seconds))

    def _attempt(self, download: Download) -> TryAgainError | None:
        """Ask once; returns what went wrong if another attempt may help."""
        import urllib3

        from shipml.http.redirects import OnlyRedirects

        download.pause_seconds = 0.0
        try:
            response = self._pools.pool_for(download.url).request(
                "GET", download.url, headers=download.headers(), retries=OnlyRedirects.few(), preload_content=False
            )
            try:
                return download.receive(response)
            finally:
                response.close()  # a connection with unread bytes on it must not be used again
        except urllib3.exceptions.HTTPError as error:
            return failure(error, download.url)


def read_file(url: str, take: Callable[[bytes], None]) -> None:
    """Give the file at a file: URL to `take` in pieces.

    Raises:
        BuildError: it cannot be read.
        UntrustedInputError: it is not a regular file, so that it might never end.
    """
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe without a writer would wait
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UntrustedInputError(f"{path} is not a regular file")
            while chunk := stream.read(_CHUNK_BYTES):
                take(chunk)
    except OSError as error:
        if error.filename is None:
            raise  # of `take`, whose files these are not
        raise BuildError(f"cannot read {path}: {error.strerror}") from error
