"""Keeps the program of an image up, at one port of 127.0.0.1, and exchanges it where the image changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from shipml import runtimes
from shipml.errors import ShipmlError, UnavailableError
from shipml.events import Emit, Notice
from shipml.facts.plan import SmokeCheck
from shipml.facts.smoke_label import smoke_from_labels
from shipml.oci.image import Image, read_config
from shipml.runtimes.absent_files import explained
from shipml.runtimes.background import Background
from shipml.runtimes.base import RunOptions
from shipml.runtimes.forward import Forwarder
from shipml.runtimes.reach import Running
from shipml.runtimes.supervise import server_port
from shipml.runtimes.variables import complete
from shipml.session import Session

__all__ = ["ServeOptions", "Watcher", "serve"]

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How an image is served."""

    port: int | None = None
    """Of this machine; None for the program's own, or any free one where that is taken."""
    runtime: str = "auto"
    environment: Mapping[str, str] | None = None
    network: bool = False


class Watcher(Protocol):
    """Knows when another image is to be served."""

    def next_image(self) -> Image | None:
        """Another image, where the project has changed; looks at most once a second.

        Raises:
            ShipmlError: the project has changed, and cannot be built.
        """


def serve(
    session: Session,
    image: Image,
    wanted: ServeOptions,
    ready: Callable[[str, Image], None],
    watcher: Watcher | None = None,
) -> None:
    """Serve until the program ends, or KeyboardInterrupt; `ready` hears the URL each time that an image is up.

    Raises:
        SmokeTestError: the program ended, or opened no port in time; with a watcher, only a notice.
        UnavailableError: it cannot be run here, or the port is taken.
    """
    server = _Server(session, wanted, ready)
    try:
        server.start(image, is_patient=watcher is not None)
        while watcher is not None or not server.has_ended:
            if watcher is not None:
                _follow(server, watcher, session.emit)
            time.sleep(_LOOK_SECONDS)
        raise server.failure()
    finally:
        server.close()


def _follow(server: _Server, watcher: Watcher, emit: Emit) -> None:
    """Exchange the program where the project has changed; what fails is said, and the old one stays up."""
    server.tell_ended()
    try:
        if (image := watcher.next_image()) is not None:
            server.start(image, is_patient=True)
    except ShipmlError as error:
        _tell(error, emit)


def _tell(error: ShipmlError, emit: Emit) -> None:
    emit(Notice(f"{error.message}; {error.hint}" if error.hint else error.message, "warning"))


class _Server:
    """One port of this machine, and the program that is behind it."""

    def __init__(self, session: Session, wanted: ServeOptions, ready: Callable[[str, Image], None]) -> None:
        self._session = session
        self._wanted = wanted
        self._ready = ready
        self._forwarder: Forwarder | None = None
        self._current: Background | None = None
        self._is_ended_told = False

    @property
    def has_ended(self) -> bool:
        return self._current is None or self._current.has_ended

    def failure(self) -> ShipmlError:
        """Why the program ended."""
        if self._current is None:
            return UnavailableError("no program is running")
        return self._current.failure()

    def tell_ended(self) -> None:
        """Say once that the program ended."""
        if self._current is not None and self._current.has_ended and not self._is_ended_told:
            self._is_ended_told = True
            _tell(self._current.failure(), self._session.emit)

    def start(self, image: Image, *, is_patient: bool) -> None:
        """Start an image's program, and put it in place of the one before once it takes connections.

        Where it fails, the one before stays; where there is none and it `is_patient`, that is only said.
        """
        options, port = self._options(image)
        runtime = runtimes.choose(self._wanted.runtime, image, self._session.store)
        if self._forwarder is None:
            self._forwarder = Forwarder(self._wanted.port or port, is_fixed=self._wanted.port is not None)
        if options.check.network and self._current is not None:  # both would want the same port of this machine
            self._current.close()

        def begin(emit: Emit) -> AbstractContextManager[Running]:
            return runtime.running(image, options, emit)

        new = Background(begin, options, self._session.emit)
        try:
            reach = new.wait_until_up()
        except BaseException as error:
            new.close()
            if is_patient and self._current is None and isinstance(error, ShipmlError):
                _tell(error, self._session.emit)
                return
            raise
        self._forwarder.target = reach.connect
        old, self._current, self._is_ended_told = self._current, new, False
        if old is not None:
            old.close()
        if address := reach.only_loopback():
            self._session.emit(
                Notice(f"it listens at {address} only, which nothing reaches where the image is deployed", "warning")
            )
        self._ready(f"http://127.0.0.1:{self._forwarder.port}/", image)

    def close(self) -> None:
        """End everything."""
        if self._forwarder is not None:
            self._forwarder.close()
        if self._current is not None:
            self._current.close()

    def _options(self, image: Image) -> tuple[RunOptions, int]:
        config = read_config(image).get("config") or {}
        demanded = smoke_from_labels(config.get("Labels") or {})
        check = SmokeCheck(
            port=demanded.port,
            timeout_seconds=demanded.timeout_seconds,
            network=self._wanted.network or demanded.network,
            env=demanded.env,
        )
        given = complete(self._wanted.environment or {}, check.env)
        options = explained(RunOptions(check, given), self._session.store, image.digest)
        own = dict(variable.partition("=")[::2] for variable in config.get("Env") or ())
        port = server_port(check.port, config, {**own, **given}, given)
        return options, port
