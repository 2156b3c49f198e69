"""A registry as the Azure Resource Manager describes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipml.errors import UntrustedInputError

__all__ = ["SKUS", "AcrRegistry", "group_of", "subscription_of"]

SKUS = ("Basic", "Standard", "Premium")
_GROUP = re.compile(r"/resourceGroups/([^/]+)", re.IGNORECASE)
_SUBSCRIPTION = re.compile(r"^/subscriptions/([^/]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AcrRegistry:
    """An Azure Container Registry."""

    id: str
    """Resource id: `/subscriptions/…/resourceGroups/…/providers/Microsoft.ContainerRegistry/registries/NAME`."""
    name: str
    login_server: str
    """Its host, in lower case; not always `NAME.azurecr.io`."""
    location: str
    sku: str
    provisioning: str
    """"Succeeded" when it can be used."""
    is_public: bool
    """Whether it answers requests from the internet at all."""
    is_firewalled: bool
    """Whether only some addresses are let in."""
    uses_abac: bool
    """Whether rights are given for single repositories: AcrPush and AcrPull count for nothing then."""

    @property
    def resource_group(self) -> str:
        """The resource group that holds it."""
        return group_of(self.id)

    @property
    def subscription(self) -> str:
        """The subscription's id."""
        return subscription_of(self.id)

    @classmethod
    def from_arm(cls, document: Mapping[str, Any]) -> AcrRegistry:
        """Read ARM's JSON (api-version 2025-11-01, and those before as far as they have it).

        Raises:
            UntrustedInputError: it lacks what every registry has.
        """
        try:
            properties = document.get("properties") or {}
            rules = properties.get("networkRuleSet") or {}
            return cls(
                id=str(document["id"]),
                name=str(document["name"]),
                login_server=str(properties.get("loginServer") or "").lower(),
                location=str(document.get("location") or ""),
                sku=str((document.get("sku") or {}).get("name") or ""),
                provisioning=str(properties.get("provisioningState") or ""),
                is_public=properties.get("publicNetworkAccess") != "Disabled",
                is_firewalled=rules.get("defaultAction") == "Deny",
                uses_abac=properties.get("roleAssignmentMode") == "AbacRepositoryPermissions",
            )
        except (KeyError, AttributeError) as error:
            raise UntrustedInputError("Azure describes a registry in a way that shipml does not know") from error


def group_of(resource: str) -> str:
    """The resource group in a resource id; "" where there is none."""
    found = _GROUP.search(resource)
    return found[1] if found else ""


def subscription_of(resource: str) -> str:
    """The subscription in a resource id; "" where there is none."""
    found = _SUBSCRIPTION.search(resource)
    return found[1] if found else ""
