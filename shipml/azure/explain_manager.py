"""Why the Azure Resource Manager refused, and the az command that fixes it. Pure: what it said in, errors out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shipml.errors import (
    BuildError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UsageError,
)

__all__ = ["Refusal", "explain_manager"]

_LENGTH = 400
_CLIENT = re.compile(r"with object id '([^']+)'")
_ACTION = re.compile(r"perform action '([^']+)'")
_SCOPE = re.compile(r"over scope '([^']+)'")
_LINKED = re.compile(r"linked scope\(s\)\s*'?([^'\s,]+)")
_TENANT = re.compile(r"must match[^']*'https://sts\.windows\.net/([^/',]+)", re.IGNORECASE)
_EXISTS = re.compile(r"Tag (\S+) already exists in target registry", re.IGNORECASE)
_IP = re.compile(r"client with IP '?([0-9a-f.:]+)'?", re.IGNORECASE)

_ROLES = (
    ("importImage", "Container Registry Data Importer and Data Reader"),
    ("listBuildSourceUploadUrl", "Container Registry Tasks Contributor"),
    ("scheduleRun", "Container Registry Tasks Contributor"),
    ("/runs/", "Container Registry Tasks Contributor"),
    ("registries/read", "Reader"),
)
"""Part of an action, and the least of the built-in roles that has it; all else takes Contributor."""

_CANNOT, _MAY_NOT = "Azure cannot {doing}", "Azure does not allow you to {doing}"
_EXPIRED = (NotAllowedError, f"{_MAY_NOT}: the login has expired", "log in again: az login")
_NO_SUBSCRIPTION = (
    UsageError,
    f"{_CANNOT}: {{said}}",
    "see which there are: az account list --output table; choose one: az account set --subscription ID",
)
_FORBIDDEN_BY_RULES = (NotAllowedError, f"{_MAY_NOT}: {{said}}", "ask who manages the subscription")
_NAME_TAKEN = (UsageError, f"{_CANNOT}: {{said}}", "choose another name: --account NAME")
_CODES: Mapping[str, tuple[type[ShipmlError], str, str]] = MappingProxyType(
    {
        "InvalidAuthenticationTokenTenant": (
            NotAllowedError,
            f"{_MAY_NOT}: you are logged in to another tenant than the subscription's",
            "log in there: az login --tenant {tenant}; or say: --tenant {tenant}",
        ),
        "ExpiredAuthenticationToken": _EXPIRED,
        "InvalidAuthenticationToken": _EXPIRED,
        "TasksOperationsNotAllowed": (
            NotAllowedError,
            f"{_MAY_NOT}: ACR Tasks are not for this subscription (nor for any on free credits)",
            "build here instead: shipml build --builder embedded; then: shipml push --registry acr",
        ),
        "UnAuthorizedForCredentialOperations": (
            NotAllowedError,
            f"{_MAY_NOT}: the registry's admin user is off",
            "turn it on: az acr update --name {name} --admin-enabled true",
        ),
        "ResourceNotFound": (UsageError, f"{_CANNOT}: {{said}}", "see which there are: az acr list --output table"),
        "ResourceGroupNotFound": (
            UsageError,
            f"{_CANNOT}: {{said}}",
            "see which there are: az group list --output table",
        ),
        "SubscriptionNotFound": _NO_SUBSCRIPTION,
        "InvalidSubscriptionId": _NO_SUBSCRIPTION,
        "MissingSubscriptionRegistration": (
            NotAllowedError,
            f"{_MAY_NOT}: the subscription has never used registries",
            "allow it once: az provider register --namespace Microsoft.ContainerRegistry --wait",
        ),
        "DisallowedOperation": _FORBIDDEN_BY_RULES,
        "ReadOnlyDisabledSubscription": _FORBIDDEN_BY_RULES,
        "RequestDisallowedByPolicy": _FORBIDDEN_BY_RULES,
        "ScopeLocked": _FORBIDDEN_BY_RULES,
        "AlreadyInUse": _NAME_TAKEN,
        "AlreadyExists": _NAME_TAKEN,
        "Invalid": _NAME_TAKEN,
    }
)
"""By ARM's code: the error's class, message and hint."""

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _THROTTLED = 401, 403, 404, 429


@dataclass(frozen=True, slots=True)
class Refusal:
    """What ARM said, and to what."""

    doing: str
    """What was tried, as in "create the registry mlprod"."""
    status: int
    """Of HTTP; 0 where an operation failed after it had been accepted."""
    code: str
    """As in `AuthorizationFailed`."""
    said: str
    """ARM's own words."""
    scope: str = ""
    """Resource id of what it was tried on, "" where it is not known."""
    source: str = ""
    """Of an import: the source registry's name."""
    retry_after_seconds: float = 0.0


def explain_manager(refusal: Refusal) -> ShipmlError:
    """The error for what ARM refused."""
    for explain in (_import_failure, _known_code, _by_status):
        if (found := explain(refusal)) is not None:
            return found
    said = f"{refusal.code}: {_short(refusal.said)}" if refusal.code else _short(refusal.said)
    return BuildError(
        f"Azure cannot {refusal.doing}: {said}", hint=f"look at it in Azure: az resource show{_ids(refusal)}"
    )


def _known_code(refusal: Refusal) -> ShipmlError | None:
    if refusal.code in ("AuthorizationFailed", "LinkedAuthorizationFailed"):
        return _missing_role(refusal)
    if (known := _CODES.get(refusal.code)) is None:
        return None
    kind, message, hint = known
    values = {
        "doing": refusal.doing,
        "said": _short(refusal.said),
        "name": _name(refusal.scope),
        "tenant": _first(_TENANT, refusal.said) or "TENANT",
    }
    return kind(message.format_map(values), hint=hint.format_map(values))


def _by_status(refusal: Refusal) -> ShipmlError | None:
    said = _short(refusal.said)
    if refusal.status == _THROTTLED or refusal.code == "TooManyRequests":
        wait = f" in {refusal.retry_after_seconds:.0f} s" if refusal.retry_after_seconds else " later"
        return TryAgainError(
            f"Azure is asked too often to {refusal.doing}; it has nothing to do with your login",
            hint=f"run the command again{wait}",
        )
    if refusal.status >= 500 or refusal.status == 408:  # noqa: PLR2004  (server errors, timeout)
        return TryAgainError(f"Azure failed to {refusal.doing}: {said}", hint="run the command again later")
    if refusal.status in (_UNAUTHORIZED, _FORBIDDEN):
        return NotAllowedError(
            f"Azure does not allow you to {refusal.doing}: {said}",
            hint="look at your roles: az role assignment list --all",
        )
    if refusal.status == _NOT_FOUND:
        return UsageError(f"Azure cannot {refusal.doing}: {said}", hint=_CODES["ResourceNotFound"][2])
    return None


def _missing_role(refusal: Refusal) -> ShipmlError:
    action = _first(_ACTION, refusal.said)
    scope = _first(_SCOPE, refusal.said) or refusal.scope
    if (linked := _first(_LINKED, refusal.said)) or "linked scope" in refusal.said:
        source = linked or refusal.source or "the source"
        return NotAllowedError(
            f"Azure does not allow you to {refusal.doing}: you may not read from the source registry {_name(source)}",
            hint=_assign(refusal, _ROLES[0][1], linked or "SOURCE_REGISTRY_ID"),
        )
    role = next((role for part, role in _ROLES if part.lower() in action.lower()), "Contributor")
    return NotAllowedError(
        f"Azure does not allow you to {refusal.doing}: you lack the role that allows {action or 'it'}",
        hint=_assign(refusal, role, scope or "SCOPE"),
    )


def _assign(refusal: Refusal, role: str, scope: str) -> str:
    client = _first(_CLIENT, refusal.said) or "$(az ad signed-in-user show --query id --output tsv)"
    return f'let an owner run: az role assignment create --assignee {client} --role "{role}" --scope {scope}'


def _import_failure(refusal: Refusal) -> ShipmlError | None:
    """What comes of an import that was accepted; ARM puts the registry's own words into its message."""
    if not refusal.source:
        return None
    target, said = _name(refusal.scope), refusal.said
    if found := _EXISTS.search(said):
        return UsageError(
            f"{target} has {found[1]} already, with other content perhaps",
            hint="choose another tag, or take that one away:"
            f" az acr repository untag --name {target} --image {found[1]}",
        )
    if "Forbidden" in said and "DENIED" in said:  # it names the registry that it imports into: the other one refused
        address = _first(_IP, said)
        by = f" to Azure's address {address}" if address else ""
        return NotAllowedError(
            f"{refusal.source} refuses{by} what {target} wants to import: its firewall",
            hint="let Azure's own services through:"
            f" az acr update --name {refusal.source} --allow-trusted-services true",
        )
    if "manifest unknown" in said.lower() or "MANIFEST_UNKNOWN" in said:
        return UsageError(
            f"{refusal.source} does not have the image that {target} was to import",
            hint=f"see what it has: az acr repository list --name {refusal.source}",
        )
    if "UNAUTHORIZED" in said or "authentication required" in said:
        return NotAllowedError(
            f"{refusal.source} does not let {target} read the image",
            hint=_assign(refusal, _ROLES[0][1], "SOURCE_REGISTRY_ID"),
        )
    return None


def _ids(refusal: Refusal) -> str:
    return f" --ids {refusal.scope}" if refusal.scope else ""


def _name(resource: str) -> str:
    return resource.rstrip("/").rpartition("/")[2]


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _short(text: str) -> str:
    line = " ".join(text.split()).rstrip(". ")
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"
