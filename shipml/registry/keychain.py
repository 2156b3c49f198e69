"""Where a registry client gets credentials: from docker's files, from Azure, or from several places in turn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.registry.credentials import Credentials, find_credentials

__all__ = ["REGISTRY_VARIABLE", "ChainKeychain", "DockerKeychain", "GivenKeychain", "Keychain"]

REGISTRY_VARIABLE = "SHIPML_REGISTRY"
"""The variable that names the host which SHIPML_USERNAME and SHIPML_PASSWORD are for."""


class Keychain(Protocol):
    """Knows credentials for registries. Threads may share it."""

    def credentials(self, reference: Reference) -> Credentials:
        """What is known for the registry of `reference`; falsy, with a `problem`, where nothing is.

        Raises:
            ConfigurationError: a place that keeps credentials is broken.
            NotAllowedError: a service that mints them refuses.
            TryAgainError: a service that mints them does not answer.
        """

    def renew(self, reference: Reference, refused: Credentials) -> Credentials | None:
        """Others than those that a registry refused; None where there are none.

        A caller asks at most once for each request: what is renewed may be refused as well.

        Raises:
            ConfigurationError: as `credentials`.
            NotAllowedError: as `credentials`.
            TryAgainError: as `credentials`.
        """


@dataclass(frozen=True, slots=True)
class DockerKeychain:
    """What `docker login`, `podman login`, `shipml login` or the user's credential helpers have."""

    with_environment: bool = True
    """Whether SHIPML_USERNAME and SHIPML_PASSWORD count: only for the registry that the user pushes to."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    home: Path | None = None
    environment_for: str = ""
    """The one registry that these variables are for, where several are asked; "" for any."""

    def credentials(self, reference: Reference) -> Credentials:
        """See `find_credentials`."""
        with_environment = self.with_environment and self.environment_for in {"", reference.registry}
        bound = self.environment.get(REGISTRY_VARIABLE, "").strip().removeprefix("https://").rstrip("/").lower()
        bound = DOCKER_HUB if bound == "hub" else bound
        with_environment = with_environment and bound in {"", reference.registry}
        return find_credentials(
            reference, environment=self.environment, home=self.home, with_environment=with_environment
        )

    def renew(self, reference: Reference, refused: Credentials) -> Credentials | None:
        """What stands there now, if it is not what was refused: helpers mint, and users log in again meanwhile."""
        found = self.credentials(reference)
        return found if found and not _same_secret(found, refused) else None


@dataclass(frozen=True, slots=True)
class GivenKeychain:
    """Credentials that were typed in, for one registry alone; they are not kept anywhere yet."""

    registry: str
    given: Credentials

    def credentials(self, reference: Reference) -> Credentials:
        """Those that were given, if the registry is theirs."""
        return self.given if reference.registry == self.registry else Credentials()

    def renew(self, reference: Reference, refused: Credentials) -> Credentials | None:
        """There are no others."""


class ChainKeychain:
    """Several keychains, the first that knows some is believed."""

    def __init__(self, *keychains: Keychain) -> None:
        self._keychains = keychains

    def credentials(self, reference: Reference) -> Credentials:
        """Of the first keychain that has some; else what all of them have to say about having none."""
        problems = []
        for keychain in self._keychains:
            if found := keychain.credentials(reference):
                return found
            problems.append(found.problem)
        return Credentials(problem="; ".join(dict.fromkeys(filter(None, problems))))

    def renew(self, reference: Reference, refused: Credentials) -> Credentials | None:
        """Of the first keychain that has others."""
        for keychain in self._keychains:
            if renewed := keychain.renew(reference, refused):
                return renewed
        return None


def _same_secret(one: Credentials, other: Credentials) -> bool:
    return (one.username, one.password, one.identity_token) == (other.username, other.password, other.identity_token)
