"""Azure: signing in, and the Azure Resource Manager; nothing else imports azure.*, and this only when it is used."""

from __future__ import annotations

from shipml.azure.az_settings import AzSettings, Subscription
from shipml.azure.clouds import (
    CLOUDS,
    Cloud,
    find_cloud,
    is_acr_host,
)
from shipml.azure.credentials import (
    DeviceCode,
    EntraToken,
    Identity,
    SignIn,
    sign_in,
)
from shipml.azure.explain_sign_in import AudienceRefusedError
from shipml.azure.manager import SKUS, AcrRegistry, Manager

__all__ = [
    "CLOUDS",
    "SKUS",
    "AcrRegistry",
    "AudienceRefusedError",
    "AzSettings",
    "Cloud",
    "DeviceCode",
    "EntraToken",
    "Identity",
    "Manager",
    "SignIn",
    "Subscription",
    "find_cloud",
    "is_acr_host",
    "sign_in",
]
