"""What the Azure Resource Manager refuses, in its documented words → our errors, each with an az command."""

from __future__ import annotations

import pytest

from shipml.azure.explain_manager import Refusal, explain_manager
from shipml.errors import (
    BuildError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UsageError,
)

SCOPE = "/subscriptions/s/resourceGroups/ml/providers/Microsoft.ContainerRegistry/registries/mlprod"


def _missing(action: str) -> str:
    return (
        f"The client 'ci' with object id '42' does not have authorization to perform action '{action}' over scope"
        f" '{SCOPE}' or the scope is invalid."
    )


CASES = {
    "no right to import": (
        (403, "AuthorizationFailed", _missing("Microsoft.ContainerRegistry/registries/importImage/action")),
        NotAllowedError,
        (
            'az role assignment create --assignee 42 --role "Container Registry Data Importer and Data Reader"'
            f" --scope {SCOPE}"
        ),
    ),
    "no right to build": (
        (403, "AuthorizationFailed", _missing("Microsoft.ContainerRegistry/registries/scheduleRun/action")),
        NotAllowedError,
        '--assignee 42 --role "Container Registry Tasks Contributor"',
    ),
    "no right to see": (
        (403, "AuthorizationFailed", _missing("Microsoft.ContainerRegistry/registries/read")),
        NotAllowedError,
        '--assignee 42 --role "Reader"',
    ),
    "no right to create": (
        (403, "AuthorizationFailed", _missing("Microsoft.ContainerRegistry/registries/write")),
        NotAllowedError,
        '--assignee 42 --role "Contributor"',
    ),
    "wrong tenant": (
        (
            401,
            "InvalidAuthenticationTokenTenant",
            (
                "The access token is from the wrong issuer 'https://sts.windows.net/mine/'. It must match the tenant"
                " 'https://sts.windows.net/theirs/' associated with this subscription."
            ),
        ),
        NotAllowedError,
        "az login --tenant theirs",
    ),
    "expired": ((401, "ExpiredAuthenticationToken", "The access token expiry UTC time"), NotAllowedError, "az login"),
    "tasks blocked": (
        (400, "TasksOperationsNotAllowed", "ACR Tasks requests for the registry mlprod and s are not permitted."),
        NotAllowedError,
        "shipml build --builder embedded",
    ),
    "admin off": (
        (400, "UnAuthorizedForCredentialOperations", "Cannot perform credential operations for x"),
        NotAllowedError,
        "az acr update --name mlprod --admin-enabled true",
    ),
    "no registry": ((404, "ResourceNotFound", "The Resource was not found."), UsageError, "az acr list"),
    "no group": ((404, "ResourceGroupNotFound", "Resource group 'x' could not be found."), UsageError, "az group list"),
    "no subscription": ((404, "SubscriptionNotFound", "x"), UsageError, "az account list"),
    "throttled": ((429, "TooManyRequests", "Too many"), TryAgainError, "in 17 s"),
    "name taken": ((409, "AlreadyExists", "The registry mlprod is already in use."), UsageError, "--account NAME"),
    "provider": ((409, "MissingSubscriptionRegistration", "x"), NotAllowedError, "az provider register"),
    "server": ((503, "ServerBusy", "busy"), TryAgainError, "again"),
    "unknown 403": ((403, "SomethingNew", "because"), NotAllowedError, "az role assignment list"),
    "unknown": ((400, "SomethingNew", "because"), BuildError, f"az resource show --ids {SCOPE}"),
}

IMPORTS = {
    "tag there": (
        "Operation registries-1 failed. Resource /x Tag app:1.2 already exists in target registry.",
        UsageError,
        "az acr repository untag --name mlprod --image app:1.2",
    ),
    "source's firewall, though the message names the target": (
        (
            "Operation registries-1 failed. Invalid message Forbidden Forbidden"
            ' {"errors":[{"code":"DENIED","message":"client with IP \'20.1.2.3\' is not allowed"}]} mlprod.azurecr.io'
        ),
        NotAllowedError,
        "az acr update --name mlint --allow-trusted-services true",
    ),
    "no such image": (
        "manifest unknown: manifest tagged by 9 is not found",
        UsageError,
        "az acr repository list --name mlint",
    ),
    "may not read the source": (
        (
            "The client 'ci' with object id '42' has permission to perform action 'importImage' on scope 'x'; however,"
            " it does not have permission to perform action 'read' on the linked scope(s)"
            " '/subscriptions/s/registries/mlint'"
        ),
        NotAllowedError,
        "--scope /subscriptions/s/registries/mlint",
    ),
}


def _says_what_to_do(error: ShipmlError, kind: type[ShipmlError], hint: str) -> None:
    assert type(error) is kind
    assert hint in error.hint
    assert error.message
    assert not error.message.endswith(".")


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_is_told_with_what_mends_it(name: str) -> None:
    """Class, exit code and command follow from ARM's code, else from its status."""
    (status, code, message), kind, hint = CASES[name]
    _says_what_to_do(
        explain_manager(Refusal("see mlprod", status, code, message, SCOPE, retry_after_seconds=17)), kind, hint
    )


@pytest.mark.parametrize("name", IMPORTS)
def test_a_failed_import_names_the_registry_at_fault(name: str) -> None:
    """What went wrong is in the registry's own words inside ARM's; the source is at fault more often than it says."""
    message, kind, hint = IMPORTS[name]
    code = "LinkedAuthorizationFailed" if "linked scope" in message else "InvalidParameters"
    error = explain_manager(Refusal("import app into mlprod", 0, code, message, SCOPE, source="mlint"))
    _says_what_to_do(error, kind, hint)


def test_a_refusal_of_any_length_is_told_on_one_line() -> None:
    """ARM's messages may be pages."""
    error = explain_manager(Refusal("x", 400, "New", "a\n" * 4000, SCOPE))
    assert len(error.message) < 500
    assert "\n" not in error.message
