"""Image → registry: what was run is pushed, under the names that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from shipml import docker_engine
from shipml.errors import UnavailableError
from shipml.events import Emit, Notice
from shipml.finding import Finder
from shipml.oci.reference import Reference
from shipml.project import read_outline
from shipml.registries import Destination, EnginePusher, Pushed, Pusher, Subject, find_credentials, require_smoke
from shipml.registries.destination import has_registry
from shipml.registries.named import locate, only_registry
from shipml.registries.tags import is_dirty
from shipml.runtimes.base import SmokeResult
from shipml.store import Store

__all__ = ["Publisher", "folder_of"]


class Publisher:
    """Publishes images of a store and of the user's engine; raises ShipmlError, as its class says."""

    def __init__(self, store: Store, finder: Finder, emit: Emit, run: Callable[[str], SmokeResult]) -> None:
        self._store = store
        self._finder = finder
        self._emit = emit
        self._run = run

    def push(
        self, target: str | None, destination: Destination, *, smoke: bool = True, folder: Path | None = None
    ) -> Pushed:
        """Push an image that has passed its smoke test, which is run now unless that was before.

        Args:
            target: as for `Finder.subject`.
            destination: where to.
            smoke: False pushes it without.
            folder: whose settings name registries; None is the folder that `target` names, else the current one.
        """
        subject = self._finder.subject(target)
        references = self._references(subject, destination, folder or folder_of(target))
        with self._pusher() as pusher:
            verdict = "not run, because it was asked to be pushed without"
            if smoke:
                verdict = require_smoke(subject, self._store, lambda: self._run(str(subject.digest)))
            else:
                self._emit(Notice(f"{references[0]} is pushed without a smoke test", "warning"))
            return replace(pusher.push(subject, references, self._emit), smoke=verdict)

    def _references(self, subject: Subject, destination: Destination, folder: Path) -> tuple[Reference, ...]:
        location = None
        if destination.registry:
            location = locate(destination.registry, read_outline(folder).settings, destination.name)
        elif not destination.reference and not has_registry(subject.name):
            location = only_registry(read_outline(folder).settings, destination.name)
        references = destination.references(
            subject.name,
            lambda registry: find_credentials(Reference(registry, "")).username,
            location=location,
            labels=subject.labels,
        )
        if is_dirty(subject.labels):
            self._emit(Notice(f"{references[0]} holds changes that no commit has", "warning"))
        return references

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


def folder_of(target: str | None) -> Path:
    """The project folder whose settings count: the one that was named, else the current one."""
    return Path(target) if target and Path(target).is_dir() else Path()
