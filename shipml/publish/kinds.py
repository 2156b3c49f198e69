"""Which registries are particular, and in what: one row each. A host that is in no row's is a generic one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from shipml.azure import acr_explain
from shipml.azure.clouds import check_acr_name, find_cloud, is_acr_host
from shipml.errors import ShipmlError, UsageError
from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.publish import hub
from shipml.registry.credentials import Credentials
from shipml.registry.keychain import Keychain

__all__ = ["KINDS", "Kind", "explained", "host_of", "kind_of_host"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of registry."""

    name: str
    """As `--registry` and `shipml login` take it."""
    has_host: Callable[[str], bool]
    """Whether a host is of this kind."""
    host: Callable[[str], str]
    """The host of the registry that `--name` names; "" for no name.

    Raises:
        UsageError: the name is missing, or can be none.
    """
    explain: Callable[[ShipmlError, Reference, Credentials], str] = lambda *_: ""
    """What to do after an error; "" where nothing more is known than the error says."""
    check_username: Callable[[str], None] = lambda _: None
    """Raises UsageError for a user name that cannot work."""


def _acr_host(name: str) -> str:
    if not name:
        raise UsageError(
            "which of Azure's registries?", hint="name it: --account NAME (list yours: az acr list --query '[].name')"
        )
    if "." not in name:
        check_acr_name(name)
    return name.lower() if "." in name else f"{name.lower()}{find_cloud().suffix}"


KINDS = (
    Kind("hub", lambda host: host == DOCKER_HUB, lambda _: DOCKER_HUB, hub.explain, hub.check_username),
    Kind("acr", is_acr_host, _acr_host, acr_explain.explain),
)
"""All but the generic kind."""

_GENERIC = Kind("generic", lambda _: True, lambda host: host)


def kind_of_host(host: str) -> Kind:
    """The kind of the registry at `host`."""
    return next((kind for kind in KINDS if kind.has_host(host)), _GENERIC)


def host_of(registry: str, name: str = "") -> str:
    """The host that `hub`, `acr` or a host means, `name` being what `--name` says.

    Raises:
        UsageError: there can be no such registry.
    """
    kind = next((kind for kind in KINDS if kind.name == registry), None)
    if kind is not None:
        return kind.host(name)
    bare = registry.removeprefix("https://").removeprefix("http://").rstrip("/").removesuffix("/v2").lower()
    words = ", ".join(kind.name for kind in KINDS)
    hint = (
        f"use {words}, a [registries.NAME] or environment of the settings, or a host such as r.example.org or"
        " localhost:5000"
    )
    if "/" in bare or not (bare == "localhost" or "." in bare or ":" in bare):
        near = difflib.get_close_matches(bare, [kind.name for kind in KINDS], n=1)
        raise UsageError(f"{registry!r} is not a registry", hint=f"did you mean {near[0]}? {hint}" if near else hint)
    try:
        return Reference.parse(f"{bare}/name").registry
    except UsageError as error:
        raise UsageError(f"{registry!r} is not a registry: {error.message}", hint=hint) from error


@contextmanager
def explained(reference: Reference, keychain: Keychain) -> Iterator[None]:
    """Give errors the hint of the registry's kind, where it has a better one."""
    try:
        yield
    except ShipmlError as error:
        hint = ""
        with suppress(ShipmlError):  # raised by whoever is asked for credentials once more
            hint = kind_of_host(reference.registry).explain(error, reference, keychain.credentials(reference))
        if hint:
            raise error.worded(hint=hint) from error
        raise
