"""The clouds of Azure: where each signs people in, manages resources and hosts registries."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from shipml.azure.az_settings import AzSettings
from shipml.errors import ConfigurationError, UsageError

__all__ = ["CLOUDS", "Cloud", "check_acr_name", "find_cloud", "is_acr_host"]


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud."""

    name: str
    """As az calls it."""
    authority: str
    """Where Entra answers: a URL without path."""
    manager: str
    """Where the Azure Resource Manager (ARM) answers: a URL without path."""
    manager_scope: str
    """What a token for ARM is asked for."""
    suffix: str
    """How registries' host names end, with the dot."""
    registry_scopes: tuple[str, ...]
    """What tokens for registries are asked for, the likeliest first: registries may refuse ARM's, and some identities
    cannot get the registries' own."""
    well_known: bool = True
    """Whether Microsoft's own directory of authorities has it."""

    @property
    def is_public(self) -> bool:
        """Whether az commands need not name it."""
        return self.name == "AzureCloud"


_REGISTRIES = "https://containerregistry.azure.net/.default"


def _cloud(name: str, authority: str, manager: str, audience: str, suffix: str) -> Cloud:
    scope = f"{audience}/.default"
    return Cloud(name, authority, manager, scope, suffix, (_REGISTRIES, scope))


CLOUDS: Mapping[str, Cloud] = MappingProxyType(
    {
        "public": _cloud(
            "AzureCloud", "https://login.microsoftonline.com", "https://management.azure.com",
            "https://management.azure.com", ".azurecr.io",
        ),
        "china": _cloud(
            "AzureChinaCloud", "https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn",
            "https://management.chinacloudapi.cn", ".azurecr.cn",
        ),
        "usgov": _cloud(
            "AzureUSGovernment", "https://login.microsoftonline.us", "https://management.usgovcloudapi.net",
            "https://management.core.usgovcloudapi.net", ".azurecr.us",
        ),
    }
)  # fmt: skip
"""By the name that `--cloud` takes."""

_OTHER_NAMES = MappingProxyType(
    {
        **{cloud.name.lower(): name for name, cloud in CLOUDS.items()},
        "azure_public_cloud": "public",
        "azure_china_cloud": "china",
        "azure_us_government": "usgov",
    }
)
"""As az and AZURE_SDK_CLOUD_CONF call them."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"


_ACR_NAME = re.compile(r"[A-Za-z0-9]{5,50}(?:-[A-Za-z0-9]+)?")
"""With the hash that Azure adds to names of registries whose domain name is not reused by others."""


def check_acr_name(name: str) -> None:
    """Make sure that one of Azure's registries can be called so.

    Raises:
        UsageError: none can.
    """
    if not _ACR_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of one of Azure's registries: they have 5 to 50 letters and digits",
            hint="list yours: az acr list --query '[].name'",
        )


def is_acr_host(host: str) -> bool:
    """Whether a registry's host name is one of Azure's."""
    suffixes = {cloud.suffix for cloud in CLOUDS.values()}
    return any(
        re.fullmatch(rf"(?:{_LABEL}\.)*{_LABEL}", host.lower().removesuffix(suffix)) is not None
        for suffix in suffixes
        if host.lower().endswith(suffix)
    )


def find_cloud(
    name: str = "", *, login_server: str = "", environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> Cloud:
    """The cloud that is meant: by its name, by a registry's host, by AZURE_SDK_CLOUD_CONF, by what az uses.

    AZURE_AUTHORITY_HOST replaces the authority, as for everything that uses azure-identity.

    Args:
        name: one of CLOUDS, or what az calls it; "" for none.
        login_server: the registry's host, "" where it is not known yet.
        environment: where variables are looked up.
        home: the user's home folder.

    Raises:
        UsageError: there is no cloud of that name.
        ConfigurationError: a variable or az's configuration is wrong.
    """
    settings = AzSettings.found(environment, home or Path.home())
    by_host = next((key for key, cloud in CLOUDS.items() if login_server.lower().endswith(cloud.suffix)), "")
    by_variable = environment.get("AZURE_SDK_CLOUD_CONF", "")
    wanted = name or by_host or by_variable or settings.cloud_name() or "public"
    found = _known(wanted)
    if found is None:
        hint = f"use one of: {', '.join(CLOUDS)}"
        if wanted == by_variable and not name:
            raise ConfigurationError(f"AZURE_SDK_CLOUD_CONF names {wanted!r}, which is not a cloud of Azure", hint=hint)
        raise UsageError(f"there is no cloud {wanted!r} of Azure", hint=hint)
    authority = environment.get("AZURE_AUTHORITY_HOST", "")
    return _with_authority(found, authority) if authority else found


def _known(name: str) -> Cloud | None:
    return CLOUDS.get(_OTHER_NAMES.get(name.lower(), name.lower()))


def _with_authority(cloud: Cloud, host: str) -> Cloud:
    authority = (host if "://" in host else f"https://{host}").rstrip("/")
    if not authority.startswith("https://"):
        raise ConfigurationError(
            f"AZURE_AUTHORITY_HOST names {authority}, and tokens are asked for over https only",
            hint="give an https address, or: unset AZURE_AUTHORITY_HOST",
        )
    known = authority in {one.authority for one in CLOUDS.values()}
    return replace(cloud, authority=authority, well_known=known)
