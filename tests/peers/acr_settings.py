"""What ARM knows about a registry, and its login server obeys."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.peers.faults import Fault, Faults
from tests.peers.marks import marked

__all__ = ["AcrSettings"]


@dataclass
class AcrSettings:
    """One registry; anything of it may be changed by a test."""

    name: str
    subscription: str
    faults: Faults
    """Of this registry alone."""
    resource_group: str = "ml"
    location: str = "westeurope"
    sku: str = "Premium"
    suffix: str = ".azurecr.io"
    admin_enabled: bool = False
    admin_passwords: tuple[str, str] = field(default=("", ""), repr=False)
    anonymous_pull: bool = False
    abac: bool = False
    public_network: bool = True
    provisioning_state: str = "Succeeded"
    polls_left: int = 0
    """How often its creation is still under way when asked."""
    repository_tokens: dict[str, tuple[str, dict[str, frozenset[str]]]] = field(default_factory=dict, repr=False)
    """Name → password and what it may do to which repository."""
    resource_uid: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.admin_passwords = marked(f"admin-of-{self.name}"), marked(f"admin2-of-{self.name}")

    def reset(self) -> None:
        """As a registry is at first, but for its name and place."""
        self.faults.clear()
        self.admin_enabled = self.anonymous_pull = self.abac = False
        self.public_network = True
        self.repository_tokens.clear()

    @property
    def login_server(self) -> str:
        """Its host."""
        return f"{self.name.lower()}{self.suffix}"

    @property
    def id(self) -> str:
        """The resource's."""
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
        return f"{group}/providers/Microsoft.ContainerRegistry/registries/{self.name}"

    def to_json(self) -> dict[str, Any]:
        """As ARM's API 2025-11-01 shows it."""
        abac = self.abac or Fault.ABAC in self.faults
        arm_audience = "disabled" if Fault.ARM_AUDIENCE_OFF in self.faults else "enabled"
        allowed = "Deny" if Fault.FIREWALL in self.faults else "Allow"
        return {
            "id": self.id,
            "name": self.name,
            "type": "Microsoft.ContainerRegistry/registries",
            "location": self.location,
            "tags": {},
            "sku": {"name": self.sku, "tier": self.sku},
            "properties": {
                "loginServer": self.login_server,
                "creationDate": "2026-01-01T00:00:00.0000000Z",
                "provisioningState": self.provisioning_state,
                "adminUserEnabled": self.admin_enabled and Fault.ADMIN_OFF not in self.faults,
                "publicNetworkAccess": "Enabled" if self.public_network else "Disabled",
                "networkRuleSet": {"defaultAction": allowed, "ipRules": []},
                "anonymousPullEnabled": self.anonymous_pull,
                "roleAssignmentMode": "AbacRepositoryPermissions" if abac else "LegacyRegistryPermissions",
                "policies": {"azureADAuthenticationAsArmPolicy": {"status": arm_audience}},
            },
        }
