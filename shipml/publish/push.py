"""Image → registry: what was run is pushed, under the names that were asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from shipml import docker_engine
from shipml.errors import UnavailableError
from shipml.events import Notice
from shipml.images import FoundImage, find_image
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference, has_registry
from shipml.project import read_outline
from shipml.publish.consent import keychain_for, variables_host
from shipml.publish.destination import Destination, is_dirty
from shipml.publish.kinds import explained
from shipml.publish.locations import (
    Location,
    acr_hosts,
    locate,
    only_registry,
)
from shipml.publish.moving_tags import meanings, refuse_to_move, tell_moved
from shipml.publish.pushed import Pushed, Pusher
from shipml.publish.smoke_gate import require_smoke
from shipml.publish.through_engine import EnginePusher
from shipml.registry.credentials import find_credentials
from shipml.registry.keychain import ChainKeychain, Keychain
from shipml.runtimes.base import SmokeResult
from shipml.secrets.evidence import require_no_secrets
from shipml.session import Session
from shipml.store import evidence

__all__ = ["ResolvedDestination", "Via", "agree", "folder_of", "push_image", "resolve"]

Via = Literal["auto", "client", "engine"]
"""What pushes."""


@dataclass(frozen=True, slots=True)
class ResolvedDestination:
    """A destination whose registry is known."""

    destination: Destination
    location: Location | None
    """What `--registry` or the settings mean; None where a reference says all."""
    is_agreed: bool = False
    """Whether it was settled before that the user's credentials may go there."""

    @property
    def is_typed(self) -> bool:
        """Whether the command line names the registry, not the settings of a project, nor the image."""
        return (
            self.is_agreed or bool(self.destination.reference) or (self.location is not None and self.location.is_typed)
        )

    @property
    def is_immutable(self) -> bool:
        """Whether tags there must not move."""
        return self.destination.no_overwrite or (self.location is not None and self.location.immutable)

    def references(self, image: str, labels: Mapping[str, str]) -> tuple[Reference, ...]:
        """See `Destination.references`."""
        return self.destination.references(
            image,
            lambda registry: find_credentials(Reference(registry, "")).username,
            location=self.location,
            labels=labels,
        )


def push_image(
    session: Session,
    target: str | None,
    destination: Destination,
    *,
    run: Callable[[str], SmokeResult],
    smoke: bool = True,
    via: Via = "auto",
    resolved: ResolvedDestination | None = None,
) -> Pushed:
    """Push an image that has passed its smoke test, which is run now unless that was before.

    Args:
        session: its store, who we are, and who hears of it.
        target: as for `images.find_image`.
        destination: where to.
        run: runs an image by name or digest as its labels demand, and keeps the result.
        smoke: False pushes it without.
        via: what pushes: our own client, the user's engine, or ("auto") the engine for what it alone has.
        resolved: what came of the destination already; None looks at the settings of the folder that `target`
            names, else of the current one.
    """
    subject = find_image(session, target)
    resolved = resolved or resolve(session, destination, subject.name, folder_of(target))
    references = resolved.references(subject.name, subject.labels)
    keychain = _keychain(session, resolved, references[0], target or "")
    with explained(references[0], keychain):
        keychain.credentials(references[0])  # a broken file is an error before the first byte is sent
    if is_dirty(subject.labels):
        session.emit(Notice(f"{references[0]} holds changes that no commit has", "warning"))
    for digest in (subject.digest, *(image.digest for image in subject.other_images)):
        require_no_secrets(session.store, digest, subject.name)
    with _pusher(session, subject, via, keychain) as pusher:
        verdict = "not run, because it was asked to be pushed without"
        if smoke:
            verdict = require_smoke(subject, session.store, lambda: run(str(subject.digest)))
        else:
            session.emit(Notice(f"{references[0]} is pushed without a smoke test", "warning"))
        # An engine may reach registries that we do not: only a rule makes us ask for ourselves.
        is_asked = pusher.name == "client" or resolved.is_immutable
        before = _meanings(session, references, keychain) if is_asked else {}
        if resolved.is_immutable:
            refuse_to_move(before, subject.named_digest)
        with session.store.damage_explained(subject.image) if subject.image else contextlib.nullcontext():
            pushed = replace(pusher.push(subject, references, session.emit), smoke=verdict)
    tell_moved(before, pushed.digest, session.emit)
    if pushed.identity != "not checked":
        # What passed under one digest has passed under the one that an engine gave it on the way: for promotions.
        evidence.keep_as(session.store, subject.digest, pushed.digest)
    return pushed


def agree(session: Session, resolved: ResolvedDestination, first: Reference) -> ResolvedDestination:
    """Settle, before anything is built or asked, that credentials can be read and may go to a destination.

    Raises:
        NotAllowedError: only the settings name it, and nobody agreed.
        ConfigurationError: a file with credentials is broken.
    """
    known = keychain_for(first.registry, is_typed=resolved.is_typed, ask=session.azure.choose, emit=session.emit)
    known.credentials(first)
    return replace(resolved, is_agreed=True)


def resolve(session: Session, destination: Destination, image: str, folder: Path) -> ResolvedDestination:
    """Find out which registry is meant; Azure is asked where it was not named.

    Args:
        session: who we are to Azure.
        destination: what was said.
        image: the image's own name; "" for none.
        folder: whose settings name registries.
    """
    destination = destination.with_tags_split()
    if destination.reference:
        return ResolvedDestination(destination, None)
    if not destination.registry and image and has_registry(Reference.parse(image)):
        return ResolvedDestination(destination, None)
    settings = read_outline(folder).settings
    session.azure.trust(*acr_hosts(settings, variables_host()))
    if not destination.registry:
        return ResolvedDestination(destination, only_registry(settings, destination.name))
    if destination.registry == "acr" and "name" not in dict(dict(settings.registries).get("acr", ())):
        destination = replace(destination, name=session.azure.login_server(destination.name))
    return ResolvedDestination(destination, locate(destination.registry, settings, destination.name))


@contextmanager
def _pusher(session: Session, subject: FoundImage, via: Via, keychain: Keychain) -> Iterator[Pusher]:
    """What pushes, chosen here alone."""
    if via == "client" or (via == "auto" and subject.image is not None):
        yield _client_pusher(session, keychain)
        return
    try:
        engine = docker_engine.connect()
    except UnavailableError as error:
        raise UnavailableError(
            f"this image is pushed through the Docker Engine, and {error.message}",
            hint="start it; what shipml itself has built goes without: --via client",
        ) from error
    with engine:
        yield EnginePusher(engine, session.store, keychain.credentials)


def _client_pusher(session: Session, keychain: Keychain) -> Pusher:
    # Late: plans and builds do not pay for HTTP.
    from shipml.publish.transfer import ClientPusher
    from shipml.registry.remote import Registries

    return ClientPusher(Registries(keychain, session.emit), keychain, session.store)


def _keychain(session: Session, resolved: ResolvedDestination, first: Reference, target: str) -> Keychain:
    """What docker's files and the environment know, else Azure for its own registries."""
    is_typed = resolved.is_typed or target.startswith(f"{first.registry}/")
    known = keychain_for(first.registry, is_typed=is_typed, ask=session.azure.choose, emit=session.emit)
    return ChainKeychain(known, session.azure.keychain())


def _meanings(session: Session, references: Sequence[Reference], keychain: Keychain) -> dict[Reference, Digest | None]:
    from shipml.registry.remote import Registries

    with explained(references[0], keychain):
        return meanings(references, Registries(keychain, session.emit))


def folder_of(target: str | None) -> Path:
    """The project folder whose settings count: the one that was named, else the current one."""
    return Path(target) if target and Path(target).is_dir() else Path()
