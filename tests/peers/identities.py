"""Who may do what in the stand-in cloud."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from tests.peers.marks import marked

__all__ = ["Grant", "Identity", "actions_of"]

_PULL = frozenset({"pull", "content/read", "metadata_read", "metadata/read"})
_PUSH = _PULL | {"push", "content/write"}
_ALL = _PUSH | {"delete", "content/delete", "metadata_write", "*"}
_DATA = {
    "AcrPull": _PULL,
    "AcrPush": _PUSH,
    "AcrDelete": frozenset({"delete", "content/delete"}),
    "Reader": _PULL,
    "Contributor": _ALL,
    "Owner": _ALL,
}
"""Of registries with LegacyRegistryPermissions."""
_ABAC = {
    "Container Registry Repository Reader": _PULL,
    "Container Registry Repository Writer": _PUSH,
    "Container Registry Repository Contributor": _ALL,
}
"""Of registries with AbacRepositoryPermissions, where those above are ignored."""

ARM_READERS = frozenset({"Reader", "Contributor", "Owner"})
ARM_WRITERS = frozenset({"Contributor", "Owner"})


@dataclass(frozen=True, slots=True)
class Grant:
    """A role assignment."""

    role: str
    registry: str = "*"
    """A name, or `*` for the subscription."""
    repositories: str = ""
    """A prefix; only roles of repositories have one."""


@dataclass(slots=True)
class Identity:
    """A user, service principal or managed identity; anything of it may be changed by a test."""

    name: str
    tenant: str
    grants: tuple[Grant, ...] = ()
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    secret: str = field(default="", repr=False)
    federated_subject: str = ""
    """Of the assertions that stand for it."""

    def __post_init__(self) -> None:
        self.secret = self.secret or marked(f"client-secret-of-{self.name}")

    def may(self, registry: str, roles: frozenset[str]) -> bool:
        """Whether it has one of the roles on a registry."""
        return any(grant.role in roles and grant.registry in {"*", registry} for grant in self.grants)


def actions_of(identity: Identity, registry: str, repository: str, *, abac: bool) -> frozenset[str]:
    """What it may do to a repository."""
    table = _ABAC if abac else _DATA
    allowed: frozenset[str] = frozenset()
    for grant in identity.grants:
        if grant.registry in {"*", registry} and repository.startswith(grant.repositories):
            allowed |= table.get(grant.role, frozenset())
    return allowed
