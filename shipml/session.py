"""What one command works with, as one value that is handed from room to room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from shipml.azure.session import AzureSession
from shipml.errors import UnavailableError
from shipml.events import Emit, ignore
from shipml.facts.request import PlanRequest
from shipml.http import HttpClient
from shipml.oci.image import Image
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.registry.keychain import ChainKeychain, DockerKeychain, Keychain
from shipml.store import Store

__all__ = ["Choose", "OpenImage", "Session"]

OpenImage: TypeAlias = Callable[[Reference, Platform], Image]
"""Opens an image of a registry for a platform; its layers are fetched when they are opened."""

Choose: TypeAlias = Callable[[str, Sequence[str]], int]
"""Asks a question that has these answers, and returns the index of the one that was chosen."""


def _no_registry(reference: Reference, _: Platform) -> Image:
    raise UnavailableError(f"{reference} is in a registry, and this session has no client for registries")


@dataclass(frozen=True, slots=True)
class Session:
    """The store, the clients and the listener of one command; safe to share between threads."""

    store: Store
    http: HttpClient = field(default_factory=HttpClient)
    emit: Emit = ignore
    azure: AzureSession = field(default_factory=AzureSession)
    """Who we are to Azure; signs in only when something needs it."""
    open_image: OpenImage = _no_registry
    """Opens the images that are bases, with the user's own credentials."""
    allow_expired: bool = False
    """Whether Debian's package lists are accepted although they have expired."""
    allow_older: bool = False
    """Whether Debian's package lists are accepted although newer ones were seen before."""
    choose: Choose | None = None
    """Asks on the terminal which of several is meant; None where nobody can be asked."""
    upgrade: bool = False
    """Whether indexes and registries are asked again for what is known."""

    def asked(self, request: PlanRequest) -> Session:
        """The same session, for a request: what it accepts and asks again."""
        return replace(
            self,
            allow_expired=request.allow_expired,
            allow_older=request.allow_older,
            upgrade=request.upgrade,
        )

    def keychain(self, *, environment_for: str = "") -> Keychain:
        """What docker's files know, else Azure for its own registries.

        `environment_for` is the only registry that SHIPML_USERNAME and SHIPML_PASSWORD are for; "" for any.
        """
        return ChainKeychain(DockerKeychain(environment_for=environment_for), self.azure.keychain())
