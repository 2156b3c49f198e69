"""Credentials for a registry, from where docker and podman keep them; every result says where it came from.

Formats: docker's config.json (`auths`, `credHelpers`, `credsStore`), the protocol of docker's credential helpers
(github.com/docker/docker-credential-helpers), containers-auth.json(5).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.registry.credential_file import (
    broken_file,
    docker_file,
    read_file,
    server_keys,
    server_name,
    table_of,
)
from shipml.registry.credential_helper import TOKEN_USER, ask_helper

__all__ = ["Credentials", "find_credentials", "login_command"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and password, or an identity token, or none. Printing it shows no secret."""

    source: str = ""
    """Where they came from; "" where none were found."""
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    problem: str = ""
    """Why a place that should have had some gave none."""

    def __bool__(self) -> bool:
        return bool(self.password or self.identity_token)

    def __str__(self) -> str:
        if self:
            return (
                f"those of {self.username} from {self.source}"
                if self.username and not self.identity_token
                else f"a token from {self.source}"
            )
        return f"none ({self.problem})" if self.problem else "none"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return tuple(filter(None, (self.password, self.identity_token)))

    def for_engine(self) -> dict[str, str]:
        """As the Docker Engine's API takes them."""
        if self.identity_token:
            return {"identitytoken": self.identity_token}
        return {"username": self.username, "password": self.password} if self else {}


def find_credentials(
    reference: Reference,
    *,
    environment: Mapping[str, str] = os.environ,
    home: Path | None = None,
    with_environment: bool = True,
) -> Credentials:
    """What is known for the registry of `reference`.

    Looked at in this order: SHIPML_USERNAME and SHIPML_PASSWORD, docker's config.json and its helpers, podman's
    auth.json.

    Args:
        reference: an image in the registry; podman keeps credentials of single repositories, too.
        environment: where variables are looked up.
        home: the user's home folder.
        with_environment: whether SHIPML_USERNAME and SHIPML_PASSWORD count. They are meant for where the user
            pushes, and must not be sent to wherever a base comes from.

    Raises:
        ConfigurationError: a file is broken, or one of the two variables is missing.
    """
    if with_environment and (found := _from_environment(environment)):
        return found
    problems = []
    for path, tool in _files(environment, home or Path.home()):
        for found in _from_file(path, tool, reference):
            if found:
                return found
            problems.append(found.problem)
    return Credentials(problem="; ".join(dict.fromkeys(filter(None, problems))))


def login_command(registry: str) -> str:
    """What keeps credentials for a registry."""
    return f"shipml login {'hub' if registry == DOCKER_HUB else registry}"


def _from_environment(environment: Mapping[str, str]) -> Credentials | None:
    username, password = environment.get("SHIPML_USERNAME", ""), environment.get("SHIPML_PASSWORD", "")
    if username and password:
        return Credentials("SHIPML_USERNAME and SHIPML_PASSWORD", username, password)
    if username or password:
        there, missing = ("SHIPML_USERNAME", "SHIPML_PASSWORD") if username else ("SHIPML_PASSWORD", "SHIPML_USERNAME")
        raise ConfigurationError(f"{there} is set, {missing} is not", hint=f"set {missing} too, or unset {there}")
    return None


def _files(environment: Mapping[str, str], home: Path) -> Iterator[tuple[Path, str]]:
    yield docker_file(environment, home), "docker"
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named), "podman"
        return
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json", "podman"
    config = environment.get("XDG_CONFIG_HOME")
    yield (Path(config) if config else home / ".config") / "containers" / "auth.json", "podman"


def _from_file(path: Path, tool: str, reference: Reference) -> Iterator[Credentials]:
    """What a file says, the most specific first: a helper for the registry, the helper for all, the file itself."""
    document = read_file(path, tool)
    keys = _keys(reference)
    helpers = table_of(document, "credHelpers", path)
    stores = [str(helpers[key]) for key in keys if helpers.get(key)]
    if store := document.get("credsStore"):
        stores.append(str(store))
    yield from (_from_helper(name, server_name(reference.registry), path) for name in dict.fromkeys(stores))
    auths = table_of(document, "auths", path)
    for key in keys:
        if isinstance(entry := auths.get(key), dict):
            yield _from_entry(entry, key, path)


def _keys(reference: Reference) -> list[str]:
    """Under which a registry's credentials may stand, the most specific first."""
    hosts = server_keys(reference.registry)
    parts = reference.repository.split("/")
    scopes = [f"{reference.registry}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    return [*hosts[:1], *scopes, *hosts[1:]] if reference.registry == DOCKER_HUB else [*scopes, *hosts]


def _from_helper(name: str, server: str, path: Path) -> Credentials:
    source = f"the credential helper docker-credential-{name}, which {path} names"
    answer = ask_helper(name, server)
    if answer.problem:
        return Credentials(problem=f"{source}: {answer.problem}")
    if answer.username == TOKEN_USER:
        return Credentials(source, identity_token=answer.secret)
    return Credentials(source, answer.username, answer.secret)


def _from_entry(entry: Mapping[str, Any], key: str, path: Path) -> Credentials:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            text = base64.b64decode(str(encoded), validate=True).decode()
        except ValueError:  # its text may quote the secret
            raise broken_file(path, f"`auth` of {key} is not base64") from None
        username, _, password = text.partition(":")
    token = str(entry.get("identitytoken") or "")
    return Credentials(str(path), username, password.strip("\0"), token)
