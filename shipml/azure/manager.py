"""The Azure Resource Manager: registries are found and made here, images imported, and ACR Tasks asked to build."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipml.azure.az_settings import AzSettings
from shipml.azure.credentials import Identity
from shipml.azure.explain_manager import Refusal, explain_manager
from shipml.azure.explain_sign_in import explain_sign_in, explain_unreachable
from shipml.azure.sdk import azure_errors, make_transport
from shipml.errors import NotAllowedError, UntrustedInputError, UsageError
from shipml.events import Emit, ignore, step

__all__ = ["SKUS", "AcrRegistry", "Manager", "group_of", "subscription_of"]

if TYPE_CHECKING:
    from azure.mgmt.containerregistry import ContainerRegistryManagementClient


_POLL_SECONDS = 3.0
_ATTEMPTS = 3
_SUBSCRIPTIONS_API = "2022-12-01"
_ERROR = 400


class Manager:
    """What one identity may see and do. Every method raises ShipmlError, as `explain_manager` says."""

    def __init__(
        self,
        identity: Identity,
        *,
        subscription: str = "",
        environment: Mapping[str, str] = os.environ,
        home: Path | None = None,
        poll_seconds: float = _POLL_SECONDS,
        attempts: int = _ATTEMPTS,
    ) -> None:
        """Ask as an identity.

        Args:
            identity: who asks.
            subscription: its id; "" takes AZURE_SUBSCRIPTION_ID, what az uses, or all that the identity sees.
            environment: where variables are looked up.
            home: the user's home folder.
            poll_seconds: between two looks at what takes long, unless Azure says.
            attempts: how often a request without answer is sent again.
        """
        self._attempts = attempts
        self.identity = identity
        self._subscription = subscription or environment.get("AZURE_SUBSCRIPTION_ID", "")
        self._settings = AzSettings.found(environment, home or Path.home())
        self._poll_seconds = poll_seconds
        self._clients: dict[str, ContainerRegistryManagementClient] = {}

    def registries(self) -> list[AcrRegistry]:
        """All registries of the subscriptions, sorted by name; empty also where the identity has no right to list."""
        found = []
        for subscription in self.subscriptions():
            client = self._client(subscription)
            with self._doing("list the registries", f"/subscriptions/{subscription}"):
                found += [AcrRegistry.from_arm(one.as_dict()) for one in client.registries.list()]
        return sorted(found, key=lambda registry: registry.name)

    def find(self, name: str) -> AcrRegistry:
        """The registry with this name or login server.

        Raises:
            UsageError: the identity sees others only.
            NotAllowedError: it sees none at all.
        """
        wanted = name.lower()
        seen = self.registries()
        for registry in seen:
            if wanted in (registry.name.lower(), registry.login_server):
                return registry
        if not seen:
            raise NotAllowedError(
                f"{self.identity.name} sees no registry in Azure, {name} neither",
                hint="AcrPush does not include the right to see it; let an owner run: az role assignment create"
                f" --assignee ID --role Reader --scope $(az acr show --name {wanted.partition('.')[0]} --query id"
                " --output tsv)",
            )
        raise UsageError(
            f"{self.identity.name} sees no registry {name} in Azure; it sees:"
            f" {', '.join(registry.name for registry in seen)}",
            hint=f"look for it: az acr show --name {wanted.partition('.')[0]}; if it is in another subscription:"
            " --subscription ID",
        )

    def create(
        self, name: str, *, resource_group: str, location: str = "", sku: str = "Basic", emit: Emit = ignore
    ) -> AcrRegistry:
        """Make a registry, without admin user; returns it when it can be used.

        Args:
            name: 5 to 50 letters and digits, nobody else's in all of Azure.
            resource_group: must exist.
            location: "" takes the group's own.
            sku: one of SKUS.
            emit: hears of progress.
        """
        if sku not in SKUS:
            raise UsageError(f"there is no SKU {sku!r} of registries", hint=f"use one of: {', '.join(SKUS)}")
        subscription = self._only_subscription()
        client = self._client(subscription)
        scope = f"/subscriptions/{subscription}/resourceGroups/{resource_group}"
        kind = "Microsoft.ContainerRegistry/registries"
        doing = f"create the registry {name}"
        with step(emit, "create", f"the registry {name} ({sku})") as running:
            location = location or self._location_of(subscription, resource_group)
            with self._doing(doing, scope):
                free = client.registries.check_name_availability({"name": name, "type": kind})
            if not free.name_available:
                raise explain_manager(
                    Refusal(doing, 409, str(free.reason or "AlreadyExists"), str(free.message or ""), scope)
                )
            wanted = {"location": location, "sku": {"name": sku}, "properties": {"adminUserEnabled": False}}
            with self._doing(doing, scope):
                made = client.registries.begin_create(resource_group, name, wanted).result()
            running.detail = f"{made.login_server} in {location}"
        return AcrRegistry.from_arm(made.as_dict())

    def import_image(
        self,
        target: AcrRegistry,
        source: AcrRegistry,
        source_image: str,
        target_references: tuple[str, ...] = (),
        *,
        untagged: tuple[str, ...] = (),
        force: bool = False,
        emit: Emit = ignore,
    ) -> None:
        """Copy an image from one registry into another inside Azure; nothing comes through this machine.

        The source must be in a subscription of the same tenant. What arrived is for the caller to look at.

        Args:
            target: where to.
            source: where from.
            source_image: `repository@sha256:…`; by tag the import breaks when the tag moves in the middle.
            target_references: each `repository:tag`.
            untagged: repositories that get the image by its digest alone.
            force: whether tags that are there already move.
            emit: hears of progress.

        Raises:
            UsageError: the source lacks the image, or the target has a tag already and `force` is False.
            NotAllowedError: a role is missing here or there, or the source's firewall is in the way.
        """
        wanted = {
            "source": {"resourceId": source.id, "sourceImage": source_image},
            "targetTags": list(target_references),
            "untaggedTargetRepositories": list(untagged),
            "mode": "Force" if force else "NoForce",
        }
        client = self._client(target.subscription)
        doing = f"import {source_image} into {target.name}"
        with (
            step(emit, "import", f"{source.login_server}/{source_image} into {target.login_server}, inside Azure"),
            self._doing(doing, target.id, source=source.name),
        ):
            client.registries.begin_import_image(target.resource_group, target.name, wanted).result()

    def subscriptions(self) -> list[str]:
        """Ids of the subscriptions to look into: the one that was chosen, else all enabled ones.

        Raises:
            NotAllowedError: there is none.
        """
        if self._subscription:
            return [self._subscription]
        self.identity.token(self.identity.cloud.manager_scope)  # tells who we are
        used = self._settings.subscription()
        if used is not None and used.id and "az CLI" in self.identity.name:
            return [used.id]
        path = "/subscriptions?" + urllib.parse.urlencode({"api-version": _SUBSCRIPTIONS_API})
        listed = self.call("GET", path, doing="list your subscriptions").get("value")
        found = [
            str(one.get("subscriptionId"))
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict) and one.get("state") in ("Enabled", None)
        ]
        if not found:
            raise NotAllowedError(
                f"{self.identity.name} sees no subscription",
                hint="name the registry itself, which takes none: --account NAME; or give the identity the role Reader:"
                " az role assignment create --assignee ID --role Reader --scope /subscriptions/ID",
            )
        return found

    def call(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | None = None,
        *,
        doing: str,
        scope: str = "",
    ) -> dict[str, Any]:
        """One call for which the SDK has no method; returns the JSON object that comes back.

        Args:
            method: of HTTP.
            path: below ARM's address, with its query.
            document: sent as JSON.
            doing: for errors, as in `Refusal.doing`.
            scope: as in `Refusal.scope`.
        """
        from azure.core.rest import HttpRequest

        client = self._client(subscription_of(path) or self._subscription or "none")
        with self._doing(doing, scope):
            answer = client.send_request(HttpRequest(method, path, json=document))
        with answer:
            try:
                found = answer.json() if answer.content else {}
            except ValueError:
                found = {}
            found = found if isinstance(found, dict) else {}
            if answer.status_code >= _ERROR:
                said = found.get("error")
                said = said if isinstance(said, dict) else {}
                raise explain_manager(
                    Refusal(
                        doing,
                        answer.status_code,
                        str(said.get("code") or ""),
                        str(said.get("message") or answer.reason),
                        scope,
                        retry_after_seconds=_seconds(answer.headers.get("Retry-After")),
                    )
                )
        return found

    def _only_subscription(self) -> str:
        found = self.subscriptions()
        if len(found) > 1:
            raise UsageError(
                f"{self.identity.name} sees {len(found)} subscriptions",
                hint=f"choose one: --subscription ID, such as {found[0]}; or: az account set --subscription ID",
            )
        return found[0]

    def _location_of(self, subscription: str, group: str) -> str:
        path = f"/subscriptions/{subscription}/resourcegroups/{urllib.parse.quote(group)}?api-version=2021-04-01"
        scope = f"/subscriptions/{subscription}/resourceGroups/{group}"
        return str(self.call("GET", path, doing=f"find the resource group {group}", scope=scope).get("location") or "")

    def _client(self, subscription: str) -> ContainerRegistryManagementClient:
        if subscription not in self._clients:
            from azure.mgmt.containerregistry import (
                ContainerRegistryManagementClient,
            )

            self._clients[subscription] = ContainerRegistryManagementClient(
                self.identity,
                subscription,
                self.identity.cloud.manager,
                credential_scopes=[self.identity.cloud.manager_scope],
                transport=make_transport(self.identity.session),
                polling_interval=self._poll_seconds,
                retry_total=self._attempts,
            )
        return self._clients[subscription]

    @contextmanager
    def _doing(self, doing: str, scope: str = "", *, source: str = "") -> Iterator[None]:
        """Turn what the SDK raises into our errors."""
        from azure.core import exceptions

        try:
            yield
        except exceptions.ClientAuthenticationError as error:
            if error.status_code is None:  # by the credential, not by ARM
                raise explain_sign_in(
                    error.message or str(error), name=self.identity.name, tenant=self.identity.tenant
                ) from None
            raise _explained(error, doing, scope, source) from None
        except exceptions.HttpResponseError as error:
            raise _explained(error, doing, scope, source) from None
        except azure_errors() as error:
            raise explain_unreachable(str(error), urllib.parse.urlsplit(self.identity.cloud.manager).netloc) from None


def _explained(error: Any, doing: str, scope: str, source: str) -> Exception:  # noqa: ANN401  (an SDK's exception)
    said = getattr(error, "error", None)
    code = str(getattr(said, "code", None) or "")
    message = str(getattr(said, "message", None) or error.message or error)
    headers = getattr(error.response, "headers", None) or {}
    seconds = _seconds(headers.get("Retry-After"))
    return explain_manager(Refusal(doing, error.status_code or 0, code, message, scope, source, seconds))


def _seconds(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


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
