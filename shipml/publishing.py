"""Image → registry: what was run is pushed, under the names that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from shipml import docker_engine
from shipml.errors import UnavailableError
from shipml.events import Emit, Notice
from shipml.finding import Finder
from shipml.oci.reference import Reference
from shipml.registries import Destination, EnginePusher, Pushed, Pusher, find_credentials, require_smoke
from shipml.runtimes.base import SmokeResult
from shipml.store import Store

__all__ = ["Publisher"]


class Publisher:
    """Publishes images of a store and of the user's engine; raises ShipmlError, as its class says."""

    def __init__(self, store: Store, finder: Finder, emit: Emit, run: Callable[[str], SmokeResult]) -> None:
        self._store = store
        self._finder = finder
        self._emit = emit
        self._run = run

    def push(self, target: str | None, destination: Destination, *, smoke: bool = True) -> Pushed:
        """Push an image that has passed its smoke test, which is run now unless that was before.

        Args:
            target: as for `Finder.subject`.
            destination: where to.
            smoke: False pushes it without.
        """
        subject = self._finder.subject(target)
        references = destination.references(
            subject.name, lambda registry: find_credentials(Reference(registry, "")).username
        )
        with self._pusher() as pusher:
            verdict = "not run, because it was asked to be pushed without"
            if smoke:
                verdict = require_smoke(subject, self._store, lambda: self._run(str(subject.digest)))
            else:
                self._emit(Notice(f"{references[0]} is pushed without a smoke test", "warning"))
            return replace(pusher.push(subject, references, self._emit), smoke=verdict)

    @contextmanager
    def _pusher(self) -> Iterator[Pusher]:
        """What pushes, chosen here alone."""
        try:
            engine = docker_engine.connect()
        except UnavailableError as error:
            raise UnavailableError(
                f"shipml pushes through a Docker Engine only, and {error.message}",
                hint="start one, or copy the image without: shipml build --output oci:DIR, then"
                " skopeo copy oci:DIR docker://REFERENCE",
            ) from error
        with engine:
            yield EnginePusher(engine, self._store)
