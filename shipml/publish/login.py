"""Keeps credentials as docker does, so that docker, podman and skopeo use them too; and forgets them.

docker's rule (docker/cli, cli/config/configfile and cli/config/credentials): the helper that `credHelpers` names for
the registry, else `credsStore`, else the file itself; beside a helper the file keeps an empty entry for the registry.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError, UsageError
from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.publish.kinds import explained, kind_of_host
from shipml.registry.credential_file import (
    change_file,
    docker_file,
    read_file,
    server_keys,
    server_name,
    table_of,
)
from shipml.registry.credential_helper import (
    TOKEN_USER,
    ask_helper,
    erase_with_helper,
    has_helper,
    store_with_helper,
)
from shipml.registry.credentials import Credentials, find_credentials
from shipml.registry.keychain import GivenKeychain, Keychain

__all__ = ["LoggedIn", "LoggedOut", "Place", "keep", "log_in", "log_out"]

_HUB_SESSION = ("https://index.docker.io/v1/access-token", "https://index.docker.io/v1/refresh-token")
"""What `docker login` keeps of a login in the browser, beside the registry's own entry."""
_OWN_HELPERS = {"darwin": ("osxkeychain",), "linux": ("pass", "secretservice"), "win32": ("wincred",)}
"""What docker takes of itself on a machine where nothing was kept yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where credentials are kept: the home and the environment of the user."""

    environment: Mapping[str, str]
    home: Path

    @classmethod
    def of_user(cls) -> Place:
        """Of who runs this."""
        return cls(os.environ, Path.home())

    @property
    def file(self) -> Path:
        """The config.json of docker."""
        return docker_file(self.environment, self.home)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What `login` did."""

    registry: str
    username: str
    """"" for an identity token."""
    kept_in: str
    """A file, or a credential helper."""
    in_clear_text: bool
    """Whether whoever reads the file has the password: base64 hides nothing."""

    def to_json(self) -> dict[str, Any]:
        """As `shipml login --json` prints it."""
        return {
            "registry": self.registry,
            "username": self.username,
            "kept_in": self.kept_in,
            "in_clear_text": self.in_clear_text,
        }


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """What `logout` did."""

    registry: str
    found: bool
    """Whether there was something to forget."""
    left: str
    """Where the registry's credentials still come from; "" for nowhere."""

    def to_json(self) -> dict[str, Any]:
        """As `shipml logout --json` prints it."""
        return {"registry": self.registry, "found": self.found, "left": self.left}


def log_in(
    registry: str,
    credentials: Credentials,
    check: Callable[[str, Keychain], object] | None = None,
    place: Place | None = None,
) -> LoggedIn:
    """Keep credentials that the registry accepts.

    Args:
        registry: its host, `docker.io` for Docker Hub.
        credentials: a name and password, or an identity token.
        check: asks the registry, and raises where it refuses; it gets the registry and a keychain for it alone.
            None asks `/v2/` as every client does.
        place: where to keep them; None is where this user's docker would.

    Raises:
        NotAllowedError: the registry refuses them.
        TryAgainError: the registry does not answer.
        ConfigurationError: they cannot be kept.
    """
    kind_of_host(registry).check_username(credentials.username)
    keychain = GivenKeychain(registry, credentials)
    with explained(Reference(registry, ""), keychain):
        (check or _ping)(registry, keychain)
    return keep(registry, credentials, place or Place.of_user())


def _ping(registry: str, keychain: Keychain) -> None:
    from shipml.registry.client import RegistryClient

    RegistryClient(registry, keychain).ping()


def keep(registry: str, credentials: Credentials, place: Place) -> LoggedIn:
    """Keep credentials, unchecked.

    Raises:
        ConfigurationError: the file or the helper that it names does not work.
    """
    if ":" in credentials.username:
        raise UsageError(f"the user name {credentials.username!r} has a colon, which no registry can read")
    document = read_file(place.file, "docker")
    server = server_name(registry)
    helper, chosen_here = _helper(document, registry, place.file)
    username, secret = credentials.username, credentials.password
    if credentials.identity_token:
        username, secret = TOKEN_USER, credentials.identity_token
    if helper and (problem := store_with_helper(helper, server, username, secret)):
        if not chosen_here:
            raise ConfigurationError(
                f"docker-credential-{helper}, which {place.file} names, did not keep the credentials: {problem}",
                hint="install or repair that program, or remove it from the file",
            )
        helper = ""

    def change(document: dict[str, Any]) -> None:
        table_of(document, "auths", place.file)
        auths = document["auths"] = document.get("auths") or {}
        for key in server_keys(registry):
            auths.pop(key, None)
        auths[server] = {} if helper else _entry(credentials)
        if helper and chosen_here:
            document["credsStore"] = helper

    change_file(place.file, change)
    kept_in = f"docker-credential-{helper}" if helper else str(place.file)
    return LoggedIn(registry, credentials.username, kept_in, not helper)


def log_out(registry: str, place: Place | None = None) -> LoggedOut:
    """Forget a registry's credentials where docker keeps them; says what is left elsewhere.

    Raises:
        ConfigurationError: the file or the helper that it names does not work.
    """
    place = place or Place.of_user()
    found = _forget(registry, place)
    left = find_credentials(Reference(registry, ""), environment=place.environment, home=place.home)
    return LoggedOut(registry, found, left.source)


def _forget(registry: str, place: Place) -> bool:
    """Remove a registry's credentials; False where there were none."""
    document = read_file(place.file, "docker")
    sessions = _HUB_SESSION if registry == DOCKER_HUB else ()
    auths = table_of(document, "auths", place.file)
    in_file = [key for key in (*server_keys(registry), *sessions) if key in auths]
    found = bool(in_file)
    for number, helper in enumerate(_helpers(document, registry, place.file)):
        found |= bool(ask_helper(helper, server_name(registry)).secret)
        problems = [erase_with_helper(helper, server) for server in (server_name(registry), *sessions)]
        if problems[0] and number == 0:  # the one in charge; docker would not ask the others
            raise ConfigurationError(
                f"docker-credential-{helper}, which {place.file} names, did not forget the credentials: {problems[0]}",
                hint="install or repair that program, or remove it from the file",
            )

    def change(document: dict[str, Any]) -> None:
        for key in in_file:
            document["auths"].pop(key, None)

    if in_file:
        change_file(place.file, change)
    return found


def _helpers(document: Mapping[str, Any], registry: str, path: Path) -> list[str]:
    """The helpers that may keep a registry's credentials, the one in charge first."""
    helpers = table_of(document, "credHelpers", path)
    named = [*(helpers.get(key) for key in server_keys(registry)), document.get("credsStore")]
    return list(dict.fromkeys(str(name) for name in named if name))


def _helper(document: Mapping[str, Any], registry: str, path: Path) -> tuple[str, bool]:
    """The helper that keeps a registry's credentials, "" for none; and whether we choose it, not the file."""
    if named := _helpers(document, registry, path):
        return named[0], False
    if table_of(document, "auths", path) or table_of(document, "credHelpers", path):
        return "", False
    for name in _OWN_HELPERS.get(sys.platform, ()):
        if has_helper(name):
            return name, True
    return "", False


def _entry(credentials: Credentials) -> dict[str, str]:
    """An entry of `auths`; beside an identity token docker keeps the name alone."""
    if credentials.identity_token:
        auth = base64.b64encode(f"{credentials.username}:".encode()).decode()
        return {"auth": auth, "identitytoken": credentials.identity_token}
    return {"auth": base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()}
