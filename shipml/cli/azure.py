"""Options for Azure, and logging in to its registries."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from shipml.cli.console import Console
from shipml.errors import UsageError

if TYPE_CHECKING:
    from shipml.azure.session import AzureOptions, AzureSession

__all__ = ["AzureRegistry", "AzureSignIn", "azure_to_push", "login_to_azure", "open_azure", "refuse_azure_options"]

_PANEL = "Azure"


@dataclass(frozen=True, slots=True)
class AzureSignIn:
    """Who signs in to Azure; without any of these, what azure-identity finds: environment, machine, az."""

    device_code: Annotated[
        bool,
        typer.Option(
            "--device-code", help="Sign in by a code that you type into a browser elsewhere", rich_help_panel=_PANEL
        ),
    ] = False
    tenant: Annotated[
        str,
        typer.Option(metavar="ID", help="The registry's tenant", show_default="your own", rich_help_panel=_PANEL),
    ] = ""
    subscription: Annotated[
        str,
        typer.Option(
            metavar="ID", help="Subscription to look for registries in", show_default="az's own", rich_help_panel=_PANEL
        ),
    ] = ""
    cloud: Annotated[
        str,
        typer.Option(
            metavar="public|china|usgov", help="Cloud of Azure", show_default="what az uses", rich_help_panel=_PANEL
        ),
    ] = ""

    def options(self) -> AzureOptions:
        """As the library takes them."""
        from shipml.azure.session import AzureOptions

        return AzureOptions(
            device_code=self.device_code, tenant=self.tenant, subscription=self.subscription, cloud=self.cloud
        )


@dataclass(frozen=True, slots=True)
class AzureRegistry:
    """How a registry is made that is not there yet."""

    create: Annotated[
        bool,
        typer.Option(
            "--create", help="Make the Azure registry --account if it is not there yet", rich_help_panel=_PANEL
        ),
    ] = False
    sku: Annotated[
        str, typer.Option(metavar="Basic|Standard|Premium", help="With --create: its size", rich_help_panel=_PANEL)
    ] = "Basic"
    resource_group: Annotated[
        str,
        typer.Option(
            "--resource-group", metavar="GROUP", help="With --create: its resource group", rich_help_panel=_PANEL
        ),
    ] = ""
    location: Annotated[
        str,
        typer.Option(
            metavar="REGION",
            help="With --create: such as westeurope",
            show_default="the group's",
            rich_help_panel=_PANEL,
        ),
    ] = ""


def azure_to_push(sign_in: AzureSignIn, new: AzureRegistry, registry: str) -> AzureOptions:
    """What a push needs to know of Azure.

    Raises:
        UsageError: something about a new registry was said where none is made.
    """
    from dataclasses import replace

    if new != AzureRegistry() and not (new.create and registry == "acr"):
        raise UsageError(
            "--create, --sku, --resource-group and --location make a registry in Azure",
            hint="use them together: --registry acr --create --account NAME --resource-group GROUP",
        )
    return replace(
        sign_in.options(),
        create=new.create,
        sku=new.sku,
        resource_group=new.resource_group,
        location=new.location,
    )


def open_azure(console: Console, options: AzureOptions) -> AzureSession:
    """A session with Azure that asks and tells on the terminal; to be used in `with`."""
    from shipml.azure.session import AzureSession

    return AzureSession(
        options,
        console.emit,
        choose=console.choose if console.can_ask else None,
        show_code=lambda code: console.demand(code.message),
    )


def login_to_azure(console: Console, host: str, azure: AzureSignIn, *, expose_token: bool) -> None:
    """Log in to one of Azure's registries with a token for three hours, or print that.

    Args:
        console: where it is told.
        host: the registry's name or host; "" for the only one, or the one that is chosen.
        azure: who signs in.
        expose_token: print the token instead of keeping it.
    """
    from shipml.api import Shipml
    from shipml.oci.reference import Reference
    from shipml.registry.token_service import NULL_GUID, expires_at_seconds

    with open_azure(console, azure.options()) as session:
        host = session.login_server(host)
        credentials = session.keychain(hosts=(host,)).credentials(Reference(host, ""))
    token = credentials.identity_token
    expires_at = expires_at_seconds(token)
    document = {"registry": host, "username": NULL_GUID, "source": credentials.source}
    if expires_at:
        document["expires_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at))
    if expose_token:
        if console.as_json:
            console.document(document | {"token": token})
        else:
            console.data(token)
        console.say(f"use it as the password of {NULL_GUID}{_until(expires_at)}")
        return
    with Shipml(emit=console.emit) as store:
        done = store.login(host, credentials)
    if console.as_json:
        console.document(done.to_json() | document)
    else:
        console.data(done.registry)
    console.say(
        f"logged in to {done.registry} by {credentials.source}{_until(expires_at)}; kept in {done.kept_in}", bold=True
    )


def refuse_azure_options(azure: AzureSignIn, registry: str) -> None:
    """Make sure that nothing about Azure was said of another registry.

    Raises:
        UsageError: it was.
    """
    if azure != AzureSignIn():
        raise UsageError(
            f"--device-code, --tenant, --subscription and --cloud are for Azure, not for {registry}",
            hint="omit them",
        )


def _until(expires_at: float) -> str:
    return time.strftime(" until %H:%M", time.localtime(expires_at)) if expires_at else ""
