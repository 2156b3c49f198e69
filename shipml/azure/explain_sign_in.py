"""Why Entra gave no token, and what fixes it. Pure: texts in, errors out.

Codes: learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

from shipml.errors import NotAllowedError, ShipmlError, TryAgainError

__all__ = ["AudienceRefusedError", "credential_name", "explain_sign_in", "explain_unreachable"]

_CODE = re.compile(r"AADSTS(\d+)")
_ATTEMPT = re.compile(r"^\t(\w+): (.*)$", re.MULTILINE)
_FAILED = re.compile(r"AADSTS|Authentication failed|Max retries|ERROR:|Failed to invoke|Unexpected (?:output|response)")
"""An attempt that was made; others say in many ways that they were never set up."""
_UNREACHABLE = re.compile(r"Max retries exceeded|Connection aborted|Read timed out|Cannot connect to proxy")
_NO_TENANT = re.compile(r"Unable to get authority configuration for https://[^/]+/([^/\s]+?)[./]?\s")
"""MSAL's words for an authority whose configuration is not there."""
_NOISE = re.compile(
    r"\s*(?:Trace ID:|Timestamp:|Correlation ID:|To mitigate this issue|Please visit https|See https"
    r"|Visit https|: \('invalid_).*",
    re.DOTALL,
)
_LENGTH = 300

_DEVICE_CODE = "shipml login acr --account NAME --device-code; on CI set"
_SERVICE_PRINCIPAL = "AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"

_HINTS: tuple[tuple[frozenset[int], str], ...] = (
    (frozenset({7000215}), "the secret is wrong; a new one: az ad app credential reset --id $AZURE_CLIENT_ID"),
    (frozenset({7000222}), "the secret has expired; a new one: az ad app credential reset --id $AZURE_CLIENT_ID"),
    (
        frozenset({700016, 700038}),
        "compare AZURE_CLIENT_ID and AZURE_TENANT_ID with: az ad sp show --id $AZURE_CLIENT_ID",
    ),
    (frozenset({90002, 900023, 50020, 50034}), "name the right tenant: az login --tenant TENANT"),
    (
        frozenset({70021, 700211, 700212, 700213, 700223}),
        (
            "let the application trust this workflow: az ad app federated-credential create --id $AZURE_CLIENT_ID"
            ' --parameters \'{{"name": "ci", "issuer": "ISSUER", "subject": "SUBJECT",'
            ' "audiences": ["api://AzureADTokenExchange"]}}\', with issuer and subject as the message names them'
        ),
    ),
    (frozenset({700024}), "the assertion has expired: look at this machine's clock, then run the job again"),
    (frozenset({50076, 50078, 50079, 50158}), "another factor is asked for: az login{tenant}"),
    (
        frozenset({50173, 50132, 50133, 70043, 70008, 700082, 700084, 500133}),
        "the login has expired: az login{tenant}",
    ),
    (frozenset({53000, 53001, 53003, 530003}), "a rule of your organisation forbids it from here: ask who manages it"),
    (frozenset({65001, 65004}), "an administrator has to agree to the application first"),
)
_PASSING = frozenset({70020, 70019, 90033, 90006, 50196, 50053})
"""Expired device codes, services that are away, too many attempts."""


class AudienceRefusedError(NotAllowedError):
    """Entra knows who asks, but gives no token for this audience; another audience may do."""


def explain_sign_in(message: str, *, name: str, tenant: str = "") -> ShipmlError:
    """The error for a token that Entra did not give.

    Args:
        message: what azure-identity said.
        name: which credential was asked, as in "Azure (az CLI)".
        tenant: the tenant that was asked for, "" where none was.
    """
    attempts = _ATTEMPT.findall(message)
    reasons = [(way, reason) for way, reason in attempts if _FAILED.search(reason)]
    if attempts and not reasons:
        return NotAllowedError(
            f"nobody is logged in to Azure here ({_summary(attempts)})",
            hint=f"{_no_login(attempts)} {_SERVICE_PRINCIPAL}",
        )
    name = credential_name(reasons[-1][0]) if reasons else name
    said = reasons[-1][1] if reasons else message
    if _UNREACHABLE.search(said):
        return explain_unreachable(said, "Entra, which signs in to Azure,")
    return _refused(said, name, f" --tenant {tenant}" if tenant else "")


def _refused(message: str, name: str, tenant: str) -> ShipmlError:
    if (unknown := _NO_TENANT.search(message)) is not None:
        return NotAllowedError(
            f"{name}: Entra knows no tenant {unknown[1]}",
            hint="correct AZURE_TENANT_ID or --tenant; yours are listed by: az account list --query [].tenantId",
        )
    codes = {int(code) for code in _CODE.findall(message)}
    start = _CODE.search(message)
    said = _shortened(_NOISE.sub("", message[start.start() if start else 0 :]))
    if _PASSING & codes:
        return TryAgainError(f"{name}: {said}", hint="run the command again")
    for known, hint in _HINTS:
        if known & codes:
            return NotAllowedError(f"{name} is refused: {said}", hint=hint.format(tenant=tenant))
    wrong = NotAllowedError if "not configured to acquire tokens for tenant" in message else AudienceRefusedError
    return wrong(f"{name} is refused: {said}", hint=f"log in again: az login{tenant}")


def explain_unreachable(text: str, where: str) -> ShipmlError:
    """The error for a service of Azure that could not be reached; `text` is what the network's libraries said."""
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return NotAllowedError(
            f"{where} shows a certificate of an authority that is not trusted here",
            hint="if your network has an authority of its own, name its file: export SSL_CERT_FILE=/path/to/ca.pem",
        )
    return TryAgainError(
        f"{where} cannot be reached: {_shortened(text.rpartition('Caused by ')[2])}",
        hint="look at the network and HTTPS_PROXY, then try again",
    )


def _no_login(attempts: Sequence[tuple[str, str]]) -> str:
    """How to log in: with az only where there is az."""
    if _has_no_az(attempts):
        return f"log in with a code that you type into a browser: {_DEVICE_CODE}"
    return f"log in: az login; on a machine without browser: {_DEVICE_CODE}"


def _has_no_az(attempts: Sequence[tuple[str, str]]) -> bool:
    return any(name == "AzureCliCredential" and "not found" in reason for name, reason in attempts)


def _summary(attempts: Sequence[tuple[str, str]]) -> str:
    """The ways that were tried, in a few words."""
    words = {
        "EnvironmentCredential": "no service principal in the environment",
        "WorkloadIdentityCredential": "no workload identity",
        "ManagedIdentityCredential": "no managed identity",
    }
    said = [words[name] for name, _ in attempts if name in words]
    if any(name == "AzureCliCredential" for name, _ in attempts):
        said.append("az is not installed" if _has_no_az(attempts) else "az is not logged in")
    return ", ".join(said) or "no credential of azure-identity is set up"


def _shortened(text: str) -> str:
    line = " ".join(text.split()).rstrip(". ")
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"


_NAMES = MappingProxyType(
    {
        "AzureCliCredential": "az CLI",
        "AzureDeveloperCliCredential": "azd CLI",
        "AzurePowerShellCredential": "Azure PowerShell",
        "BrokerCredential": "the system's login",
        "ClientAssertionCredential": "GitHub Actions",
        "DeviceCodeCredential": "device code",
        "EnvironmentCredential": "service principal",
        "ManagedIdentityCredential": "managed identity",
        "SharedTokenCacheCredential": "shared token cache",
        "VisualStudioCodeCredential": "Visual Studio Code",
        "WorkloadIdentityCredential": "workload identity",
    }
)


def credential_name(class_name: str) -> str:
    """`AzureCliCredential` → `Azure (az CLI)`; "Azure" for those that choose among others."""
    word = _NAMES.get(class_name, "")
    return f"Azure ({word})" if word else "Azure"
