"""Downloads wheels into the store, several at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType

from shipml.errors import CancelledError
from shipml.events import step
from shipml.facts.plan import LockedWheel
from shipml.session import Session
from shipml.text import counted, size_text

__all__ = ["Downloads", "fetch"]

_CONNECTIONS = 6


def fetch(wheels: Sequence[LockedWheel], *, session: Session) -> None:
    """Download what the store lacks of `wheels`, all in parallel, checked by digest and size.

    Raises:
        UntrustedInputError: a file is not the one that the lock names.
        TryAgainError, NotAllowedError, BuildError: as `HttpClient.read`.
    """
    with Downloads(wheels, session=session) as downloads:
        downloads.wait()


class Downloads:
    """Downloads, the largest first; `future` tells when one is there. A context: leaving it by an error stops them."""

    def __init__(self, wheels: Sequence[LockedWheel], *, session: Session) -> None:
        missing = {
            wheel.digest: wheel for wheel in wheels if not session.store.has_blob(wheel.digest, wheel.size_bytes)
        }
        self._missing = sorted(missing.values(), key=lambda wheel: (-(wheel.size_bytes or 0), wheel.name))
        sizes = [wheel.size_bytes for wheel in self._missing]
        self._total_bytes = None if None in sizes else sum(size or 0 for size in sizes)
        self._done_bytes = 0
        self._left = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._store, self._http, self._emit = session.store, session.http, session.emit
        self._step = step(session.emit, "download", counted(len(self._missing), "wheel"))
        self._pool = ThreadPoolExecutor(max_workers=_CONNECTIONS, thread_name_prefix="download")
        self._futures: dict[str, Future[None]] = {}

    def __enter__(self) -> Downloads:
        if self._missing:
            self._left = len(self._missing)
            self._running = self._step.__enter__()
            self._running.detail = ", ".join(
                filter(
                    None,
                    [counted(len(self._missing), "wheel"), size_text(self._total_bytes or 0) * bool(self._total_bytes)],
                )
            )
        self._futures = {wheel.digest.hex: self._pool.submit(self._fetch, wheel) for wheel in self._missing}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._left:
            self._step.__exit__(kind, error, trace)

    def future(self, wheel: LockedWheel) -> Future[None]:
        """Done when `wheel` is in the store; at once if it was there."""
        if wheel.digest.hex in self._futures:
            return self._futures[wheel.digest.hex]
        there: Future[None] = Future()
        there.set_result(None)
        return there

    def wait(self) -> None:
        """Until all are there; raises the first failure as soon as it happens."""
        done, _ = wait(self._futures.values(), return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()

    def _fetch(self, wheel: LockedWheel) -> None:
        self._http.fetch_blob(
            wheel.url, wheel.digest, self._store, size_bytes=wheel.size_bytes, progress=self._progress
        )
        with self._lock:
            self._left -= 1
            if not self._left:
                self._step.__exit__(None, None, None)

    def _progress(self, count: int) -> None:
        if self._stopped.is_set():
            raise CancelledError("stopped while wheels were downloaded")
        with self._lock:
            self._done_bytes += count
            self._running.progress(self._done_bytes, self._total_bytes)
