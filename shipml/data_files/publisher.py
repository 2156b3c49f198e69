"""Those who publish data: what one answered is kept, and who is silent is not asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from shipml.errors import BuildError, NotAllowedError, ShipmlError, TryAgainError, UnavailableError
from shipml.facts.data import DataPin
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.session import Session
from shipml.store.fact import Fact

__all__ = ["Absent", "Publisher", "Sized", "why"]

T = TypeVar("T")

_PINS = Fact("data-1", DataPin)
_LIST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Absent:
    """Data that is not in the image."""

    because: str
    """A clause."""
    command: str
    """What gets it."""


@dataclass(frozen=True, slots=True)
class Sized:
    """Data that a build would fetch."""

    size_bytes: int


@dataclass(slots=True)
class Publisher:
    """What finders fetch with."""

    session: Session
    most_bytes: int
    """What may still be fetched."""
    to_look: bool
    _silent: dict[str, str] = field(default_factory=dict)
    """Host → why it cannot be asked."""
    _lists: dict[str, bytes] = field(default_factory=dict)
    _http: HttpClient = field(default_factory=lambda: HttpClient(first_pause_seconds=0.05))

    def read(self, url: str) -> bytes:
        """A list.

        Raises:
            ShipmlError: it is not available.
        """
        if url not in self._lists:
            self._lists[url] = self._asking(url, lambda: self._http.read(url, limit_bytes=_LIST_BYTES))
        return self._lists[url]

    def fetch(self, url: str, digest: Digest | None, size_bytes: int | None) -> tuple[Digest, int]:
        """A file into the store; with a digest, it must have that.

        Raises:
            ShipmlError: it is not available, or not what it must be.
        """
        store = self.session.store
        if digest is None:
            fetched = self._asking(url, lambda: self._http.fetch_new(url, store, limit_bytes=self.most_bytes))
        else:
            path = self._asking(url, lambda: self._http.fetch_blob(url, digest, store, size_bytes=size_bytes))
            fetched = digest, path.stat().st_size
        self.most_bytes -= fetched[1]
        return fetched

    def kept(self, key: str) -> DataPin | None:
        """What was fetched before; None where nothing was, or where it is asked for again."""
        found = None if self.session.upgrade else _PINS.last(self.session.store, key)
        if found is None or self.to_look:
            return found
        blobs = [file for file in found.files if not file.text]
        return found if all(self.session.store.has_blob(file.digest, file.size_bytes) for file in blobs) else None

    def keep(self, key: str, pin: DataPin) -> DataPin:
        """Remember it."""
        _PINS.keep(self.session.store, key, pin)
        return pin

    def _asking(self, url: str, ask: Callable[[], T]) -> T:
        host = urlsplit(url).netloc.rpartition("@")[2]
        if host in self._silent:
            raise TryAgainError(self._silent[host])
        try:
            return ask()
        except (TryAgainError, UnavailableError) as error:
            self._silent[host] = error.message
            raise


def why(error: ShipmlError) -> str:
    """A clause for people."""
    if isinstance(error, NotAllowedError):
        return "its publisher wants a login"
    if isinstance(error, TryAgainError | UnavailableError):
        return "its publisher cannot be reached from here"
    return "its publisher does not have it" if type(error) is BuildError else error.message
