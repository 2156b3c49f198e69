"""One session's dealings with Azure: who signs in, which registry is meant, and tokens for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from shipml.azure import (
    AcrRegistry,
    DeviceCode,
    Identity,
    Manager,
    SignIn,
    find_cloud,
    sign_in,
)
from shipml.azure.acr import AcrKeychain
from shipml.azure.clouds import check_acr_name
from shipml.errors import NotAllowedError, ShipmlError, UsageError
from shipml.events import Emit, Notice, ignore

__all__ = ["AzureOptions", "AzureSession", "Choose"]

Choose = Callable[[str, Sequence[str]], int]
"""Asks a person which of several is meant: the question and the answers in, the answer's index out."""

_PORT = 443


@dataclass(frozen=True, slots=True)
class AzureOptions:
    """What the user said about Azure; "" for what not."""

    device_code: bool = False
    """Sign in by a code that is typed into a browser elsewhere."""
    tenant: str = ""
    subscription: str = ""
    """Its id."""
    cloud: str = ""
    """One of `azure.CLOUDS`, or what az calls it."""
    create: bool = False
    """Make the registry that is named."""
    sku: str = "Basic"
    resource_group: str = ""
    location: str = ""

    def check(self, name: str) -> None:
        """Make sure that a registry can be made, if it is to be.

        Raises:
            UsageError: something is missing.
        """
        if self.create and not (name and self.resource_group):
            raise UsageError(
                "to create a registry, its name and a resource group are needed",
                hint="for example: --create --account NAME --resource-group GROUP --location westeurope --sku Basic",
            )
        if self.create and "." in name:
            raise UsageError(f"{name} is a host, not the name of a registry that could be made", hint="--account NAME")


class AzureSession:
    """Signs in once, when something needs it; `with` closes the connections."""

    def __init__(
        self,
        options: AzureOptions | None = None,
        emit: Emit = ignore,
        *,
        choose: Choose | None = None,
        show_code: Callable[[DeviceCode], None] | None = None,
    ) -> None:
        """`choose` is None where nobody can be asked; `show_code` shows device codes, None tells them as notices."""
        self.options = options or AzureOptions()
        self._emit = emit
        self._choose = choose
        self._show_code = show_code or (lambda code: emit(Notice(code.message)))
        self._hosts: set[str] = set()
        self._lock = threading.Lock()
        self._identity: Identity | None = None
        self._manager: Manager | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended_by: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._identity is not None:
            self._identity.close()

    @property
    def choose(self) -> Choose | None:
        """Asks a person; None where nobody can be asked."""
        return self._choose

    def trust(self, *hosts: str) -> None:
        """These registries are Azure's, whatever their names: tokens of Azure may go there."""
        self._hosts.update(hosts)

    def keychain(self, *, hosts: tuple[str, ...] = (), required: bool = True) -> AcrKeychain:
        """Tokens for Azure's registries; see `AcrKeychain`."""
        return AcrKeychain(self.identity, hosts=(*self._hosts, *hosts), required=required)

    def identity(self, login_server: str = "") -> Identity:
        """Who we are, the same for the whole session."""
        with self._lock:
            if self._identity is None:
                cloud = find_cloud(self.options.cloud, login_server=login_server)
                show = self._show_code if self.options.device_code else None
                self._identity = sign_in(cloud, SignIn(device_code=show, tenant=self.options.tenant))
            return self._identity

    def manager(self) -> Manager:
        """The Azure Resource Manager, asked as who we are."""
        if self._manager is None:
            self._manager = Manager(self.identity(), subscription=self.options.subscription)
        return self._manager

    def login_server(self, name: str = "") -> str:
        """The host of the registry that is meant; it is made first where that was asked for.

        With a name Azure is not asked for it, unless there is no such host: registries may be named otherwise there.

        Args:
            name: a registry's name or host; "" for the only one of the subscription, or the one that is chosen.

        Raises:
            UsageError: there is none, or there are several and nobody can be asked.
            NotAllowedError: Azure does not tell.
        """
        self.options.check(name)
        if self.options.create:
            return self._create(name).login_server
        if not name:
            return self._chosen().login_server
        if "." in name or ":" in name:
            return name.lower()
        check_acr_name(name)
        host = f"{name.lower()}{find_cloud(self.options.cloud).suffix}"
        return host if _resolves(host) else self._looked_up(name, host)

    def registry(self, login_server: str) -> AcrRegistry:
        """What Azure says about a registry.

        Raises:
            UsageError: this identity sees none with this host.
        """
        self.identity(login_server)
        return self.manager().find(login_server)

    def _create(self, name: str) -> AcrRegistry:
        wanted = self.options
        try:
            return self.manager().find(name)
        except (UsageError, NotAllowedError):  # there is none yet, or it is somebody else's
            return self.manager().create(
                name,
                resource_group=wanted.resource_group,
                location=wanted.location,
                sku=wanted.sku,
                emit=self._emit,
            )

    def _looked_up(self, name: str, host: str) -> str:
        """The host that Azure knows for the name, else the usual one: what is wrong with it shows when it is asked."""
        try:
            return self.manager().find(name).login_server
        except UsageError:  # there is no such host, and Azure lists others
            raise
        except ShipmlError:
            return host

    def _chosen(self) -> AcrRegistry:
        found = self.manager().registries()
        who = self.identity().name
        if not found:
            raise NotAllowedError(
                f"{who} sees no registry in Azure",
                hint="name it, which takes no right to list: --account NAME; or make one: shipml push --registry acr"
                " --create --account NAME --resource-group GROUP",
            )
        if len(found) == 1:
            self._emit(Notice(f"the registry is {found[0].login_server}, the only one that {who} sees"))
            return found[0]
        if self._choose is None:
            names = ", ".join(registry.name for registry in found)
            raise UsageError(
                f"there are several registries in Azure: {names}", hint=f"name one: --account {found[0].name}"
            )
        lines = [f"{one.login_server}  ({one.location}, group {one.resource_group})" for one in found]
        return found[self._choose("which registry?", lines)]


def _resolves(host: str) -> bool:
    """Whether there is such a host; where a proxy looks hosts up for us, that cannot be known and yes is assumed."""
    from urllib.request import getproxies

    if getproxies().get("https"):
        return True
    try:
        socket.getaddrinfo(host, _PORT)
    except (OSError, UnicodeError):  # UnicodeError: no host can be called so
        return False
    return True
