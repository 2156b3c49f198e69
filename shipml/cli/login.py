"""`shipml login` and `shipml logout`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shipml.cli.azure import AzureSignIn, login_to_azure, refuse_azure_options
from shipml.cli.console import Console
from shipml.cli.options import Account
from shipml.errors import UsageError

if TYPE_CHECKING:
    from shipml.registry.credentials import Credentials

__all__ = ["login", "logout"]

_SECRET_LIMIT_BYTES = 1 << 20
_SOURCE = "what was typed"

RegistryName = Annotated[
    str,
    typer.Argument(
        metavar="hub|acr|HOST|NAME",
        help="Docker Hub, one of Azure's registries, a registry's host, or a [registries.NAME] of the settings",
    ),
]


def login(
    console: Console,
    *,
    registry: RegistryName,
    azure: AzureSignIn,
    account: Account,
    username: Annotated[
        str, typer.Option("--username", "-u", metavar="NAME", help="Who logs in", show_default="asked for")
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password or token from stdin instead of prompting")
    ] = False,
    expose_token: Annotated[
        bool,
        typer.Option(
            "--expose-token", help="Print the registry's token instead of keeping it", rich_help_panel="Azure"
        ),
    ] = False,
) -> None:
    """Log in to a registry: the credentials are tried, then kept where docker keeps them.

    docker, podman and skopeo use them too, and what they kept counts here. A credential helper that docker's
    config.json names gets them; without one they are in that file, which only you can read. There is no option for
    the password: command lines are seen by every process.

    Azure registries need no password: your Azure identity is used (environment, managed identity, GitHub Actions or
    `az login`), and the token that is kept is valid for three hours.

    Examples:
      shipml login hub                      asks for the Docker ID and an access token
      shipml login registry.example.org -u ann --password-stdin < token.txt
      shipml login acr --account mlprod     with your Azure identity, or --device-code
    """
    from shipml.api import Shipml
    from shipml.publish.kinds import kind_of_host

    if registry == "acr" and not username:
        login_to_azure(console, account.given(console), azure, expose_token=expose_token)
        return
    with Shipml() as session:
        location = session.locate(registry, account.given(console))
    host, username = location.registry, username or location.username
    if kind_of_host(host).name == "acr" and not username:
        login_to_azure(console, host, azure, expose_token=expose_token)
        return
    refuse_azure_options(azure, host)
    if expose_token:
        raise UsageError(f"--expose-token is for Azure, not for {host}", hint="omit it")
    credentials = _read_credentials(console, host, username, from_stdin=password_stdin)
    with Shipml(emit=console.emit) as session:
        done = session.login(host, credentials)
    if console.as_json:
        console.document(done.to_json())
    else:
        console.data(done.registry)
    console.say(f"logged in to {done.registry} as {done.username}; kept in {done.kept_in}", bold=True)
    if done.in_clear_text:
        console.detail("a credential helper would keep it encrypted: see credsStore in docker's documentation")


def logout(console: Console, *, registry: RegistryName, account: Account) -> None:
    """Log out of a registry: forget the credentials that docker's config.json or its helper keeps.

    Examples:
      shipml logout hub
      shipml logout registry.example.org
    """
    from shipml.api import Shipml

    with Shipml(emit=console.emit) as session:
        done = session.logout(session.locate(registry, account.given(console)).registry)
    if console.as_json:
        console.document(done.to_json())
    else:
        console.data(done.registry)
    said = f"logged out of {done.registry}" if done.found else f"there was no login for {done.registry}"
    console.say(f"{said}; {done.left} still has credentials for it" if done.left else said, bold=True)


def _read_credentials(console: Console, host: str, username: str, *, from_stdin: bool) -> Credentials:
    from shipml.registry.credentials import Credentials

    if from_stdin:
        if not username:
            raise UsageError("--password-stdin needs --username", hint="add it: --username NAME")
        return Credentials(_SOURCE, username, _read_secret())
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for the password on", hint="pipe it in: --username NAME --password-stdin"
        )
    username = username or console.ask(f"user name at {host}: ")
    secret = console.ask(f"password or token of {username} (not shown): ", hidden=True)
    if not username or not secret:
        raise UsageError("no user name or no password was typed", hint="type both, or press Ctrl-C to give up")
    return Credentials(_SOURCE, username, secret)


def _read_secret() -> str:
    """What stdin has, without the newline that `echo` adds."""
    data = sys.stdin.buffer.read(_SECRET_LIMIT_BYTES)
    try:
        secret = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        secret = ""
    if not secret or "\n" in secret or "\0" in secret:
        raise UsageError("stdin has no password: one line of text is wanted", hint="for example: < token.txt")
    return secret
