"""What people call the ways to sign in to Azure. Pure."""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["credential_name"]

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
