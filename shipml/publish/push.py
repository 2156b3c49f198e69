"""Image → registry: what was run is pushed, under the names that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from shipml import docker_engine
from shipml.errors import UnavailableError
from shipml.events import Notice
from shipml.images import FoundImage, find_image
from shipml.oci.reference import Reference, has_registry
from shipml.project import read_outline
from shipml.publish.destination import Destination, is_dirty
from shipml.publish.locations import (
    Location,
    acr_hosts,
    locate,
    only_registry,
)
from shipml.publish.pushed import Pushed, Pusher
from shipml.publish.smoke_gate import require_smoke
from shipml.publish.through_engine import EnginePusher
from shipml.registry.credentials import find_credentials
from shipml.runtimes.base import SmokeResult
from shipml.secrets.evidence import require_no_secrets
from shipml.session import Session
from shipml.store import evidence

__all__ = ["Aim", "Publisher", "Via", "folder_of"]

Via = Literal["auto", "client", "engine"]
"""What pushes."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A destination whose registry is known."""

    destination: Destination
    location: Location | None
    """What `--registry` or the settings mean; None where a reference says all."""

    def references(self, image: str, labels: Mapping[str, str]) -> tuple[Reference, ...]:
        """See `Destination.references`."""
        return self.destination.references(
            image,
            lambda registry: find_credentials(Reference(registry, "")).username,
            location=self.location,
            labels=labels,
        )


class Publisher:
    """Publishes images of a store and of the user's engine; raises ShipmlError, as its class says."""

    def __init__(self, session: Session, run: Callable[[str], SmokeResult]) -> None:
        """`run` runs an image by name or digest as its labels demand, and keeps the result."""
        self._session = session
        self._azure = session.azure
        self._store = session.store
        self._emit = session.emit
        self._run = run

    def push(
        self,
        target: str | None,
        destination: Destination,
        *,
        smoke: bool = True,
        via: Via = "auto",
        aim: Aim | None = None,
    ) -> Pushed:
        """Push an image that has passed its smoke test, which is run now unless that was before.

        Args:
            target: as for `images.find_image`.
            destination: where to.
            smoke: False pushes it without.
            via: what pushes: our own client, the user's engine, or ("auto") the engine only what only it has.
            aim: what came of the destination already; None looks at the settings of the folder that `target` names,
                else of the current one.
        """
        subject = find_image(self._session, target)
        aim = aim or self.aim(destination, subject.name, folder_of(target))
        references = aim.references(subject.name, subject.labels)
        if is_dirty(subject.labels):
            self._emit(Notice(f"{references[0]} holds changes that no commit has", "warning"))
        require_no_secrets(self._store, subject.digest, subject.name)
        with self._pusher(subject, via) as pusher:
            verdict = "not run, because it was asked to be pushed without"
            if smoke:
                verdict = require_smoke(subject, self._store, lambda: self._run(str(subject.digest)))
            else:
                self._emit(Notice(f"{references[0]} is pushed without a smoke test", "warning"))
            pushed = replace(pusher.push(subject, references, self._emit), smoke=verdict)
        self._keep_evidence(subject, pushed)
        return pushed

    def _keep_evidence(self, subject: FoundImage, pushed: Pushed) -> None:
        """What passed under one digest has passed under the one that an engine gave it on the way: for promotions."""
        if pushed.identity != "not checked":
            evidence.keep_as(self._store, subject.digest, pushed.digest)

    def aim(self, destination: Destination, image: str, folder: Path) -> Aim:
        """Find out which registry is meant; Azure is asked where it was not named.

        Args:
            destination: what was said.
            image: the image's own name; "" for none.
            folder: whose settings name registries.
        """
        if destination.reference:
            return Aim(destination, None)
        if not destination.registry and image and has_registry(Reference.parse(image)):
            return Aim(destination, None)
        settings = read_outline(folder).settings
        self._azure.trust(*acr_hosts(settings))
        if not destination.registry:
            return Aim(destination, only_registry(settings, destination.name))
        if destination.registry == "acr" and "acr" not in dict(settings.registries):
            destination = replace(destination, name=self._azure.login_server(destination.name))
        return Aim(destination, locate(destination.registry, settings, destination.name))

    @contextmanager
    def _pusher(self, subject: FoundImage, via: Via) -> Iterator[Pusher]:
        """What pushes, chosen here alone."""
        if via == "client" or (via == "auto" and subject.image is not None):
            yield self._client_pusher()
            return
        try:
            engine = docker_engine.connect()
        except UnavailableError as error:
            raise UnavailableError(
                f"this image is pushed through the Docker Engine, and {error.message}",
                hint="start it; what shipml itself has built goes without: --via client",
            ) from error
        with engine:
            yield EnginePusher(engine, self._store, self._session.keychain().credentials)

    def _client_pusher(self) -> Pusher:
        # Late: plans and builds do not pay for HTTP.
        from shipml.publish.transfer import ClientPusher
        from shipml.registry.remote import Registries

        keychain = self._session.keychain()
        return ClientPusher(Registries(keychain, self._emit), keychain, self._store)


def folder_of(target: str | None) -> Path:
    """The project folder whose settings count: the one that was named, else the current one."""
    return Path(target) if target and Path(target).is_dir() else Path()
