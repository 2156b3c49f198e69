"""Why one of Azure's registries refused, and the az command that fixes it. Pure: answers and tokens in, words out."""

from __future__ import annotations

import re
import time

from shipml.azure import Identity
from shipml.errors import (
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UsageError,
)
from shipml.oci.reference import Reference
from shipml.registry.credentials import Credentials
from shipml.registry.errors import RefusedCredentialsError, Response, said
from shipml.registry.token_service import (
    NULL_GUID,
    expires_at_seconds,
    owner_of,
    tenant_of,
)
from shipml.registry.transport import InterruptedRequestError, NoSuchHostError

__all__ = ["explain", "explain_exchange"]

_ADDRESS = re.compile(r"client with IP '?([0-9A-Fa-f.:]+?)'? is not allowed", re.IGNORECASE)
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY_REQUESTS = 401, 403, 404, 429
_WRITER = '"Container Registry Repository Writer"'
_READER = '"Container Registry Repository Reader"'


def explain(error: ShipmlError, reference: Reference, credentials: Credentials) -> str:
    """What to do after a refusal by a registry; "" where nothing more is known.

    Args:
        error: the refusal; what the registry said is its `said`.
        reference: what was asked for; its repository is "" for a login.
        credentials: those that were used.
    """
    name = _name(reference.registry)
    if found := _ADDRESS.search(error.said):
        return _firewall(name, found[1])
    if isinstance(error, TryAgainError):
        return _try_again(error, name)
    return _refused(error, name, credentials) if isinstance(error, NotAllowedError) else ""


def _refused(error: ShipmlError, name: str, credentials: Credentials) -> str:
    if not credentials:
        return f"log in: shipml login acr --account {name}; or let Azure's own login count: az login"
    token = credentials.identity_token or (credentials.password if credentials.username == NULL_GUID else "")
    if token and 0 < expires_at_seconds(token) <= time.time():
        return f"the login has expired (they serve three hours): shipml login acr --account {name}"
    if not token and credentials.username == name:
        return (
            f"see whether the admin user is on, and its password: az acr credential show --name {name};"
            f" turn it on: az acr update --name {name} --admin-enabled true; or better:"
            f" shipml login acr --account {name}"
        )
    return _missing_role(
        name,
        owner_of(token) if token else credentials.username,
        reading=isinstance(error, RefusedCredentialsError) and error.reads,
    )


def explain_exchange(answer: Response, host: str, identity: Identity, entra: str) -> ShipmlError:
    """The error for a registry that gave no token for Entra's."""
    name, words = _name(host), said(answer, (entra,))
    if answer.status == _FORBIDDEN and (found := _ADDRESS.search(words)):
        return NotAllowedError(
            f"the firewall of {host} does not let this machine in, whose address is {found[1]}",
            hint=_firewall(name, found[1]),
        )
    if answer.status == _NOT_FOUND:
        return UsageError(
            f"{host} is not a registry of Azure, or not there yet",
            hint=f"see its details: az acr show --name {name}",
        )
    if answer.status != _UNAUTHORIZED:
        return NotAllowedError(
            f"{host} gives {identity.name} no token: it answered {answer.status}{words}",
            hint=f"see what is wrong with it: az acr check-health --name {name}",
        )
    tenant = tenant_of(entra)
    home = f" {tenant}" if tenant else ""
    return NotAllowedError(
        f"{host} gives {identity.name} no token{words}: the identity has no role there, or the registry is not of"
        f" its tenant{home}",
        hint=f"{_missing_role(name, owner_of(entra))}; or log in to the registry's tenant: az login --tenant TENANT",
    )


def _firewall(name: str, address: str) -> str:
    return (
        f"let it in: az acr network-rule add --name {name} --ip-address {address}; or, where the registry is closed to"
        f" the internet: az acr update --name {name} --public-network-enabled true"
    )


def _missing_role(name: str, owner: str, *, reading: bool = False) -> str:
    role, other = ("AcrPull", _READER) if reading else ("AcrPush", _WRITER)
    return (
        f"let an owner run: az role assignment create --assignee {owner or 'OBJECT_ID'} --role {role} --scope"
        f" $(az acr show --name {name} --query id --output tsv), or with --role {other} where rights are given for"
        " single repositories"
    )


def _try_again(error: ShipmlError, name: str) -> str:
    if isinstance(error, InterruptedRequestError) and error.status == _TOO_MANY_REQUESTS:
        return (
            f"wait a minute; your login is fine. A larger registry takes more requests: az acr update --name {name}"
            " --sku Standard"
        )
    if isinstance(error, NoSuchHostError):
        return f"see whether there is such a registry: az acr show --name {name}"
    return ""


def _name(host: str) -> str:
    return host.partition(".")[0]
