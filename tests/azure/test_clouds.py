"""Which of Azure's clouds is meant, and which hosts are its registries'."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipml.azure import AzSettings, find_cloud, is_acr_host
from shipml.errors import ConfigurationError, UsageError


def _az(home: Path, cloud: str = "") -> None:
    folder = home / ".azure"
    folder.mkdir()
    (folder / "config").write_text(f"[core]\noutput = json\n[cloud]\nname = {cloud}\n" if cloud else "")


@pytest.mark.parametrize(
    ("name", "host", "variable", "used_by_az", "expected"),
    [
        ("", "", "", "", "AzureCloud"),
        ("china", "", "", "", "AzureChinaCloud"),
        ("AzureUSGovernment", "", "", "AzureChinaCloud", "AzureUSGovernment"),
        ("", "ml.azurecr.cn", "AZURE_US_GOVERNMENT", "", "AzureChinaCloud"),
        ("", "", "AZURE_US_GOVERNMENT", "AzureChinaCloud", "AzureUSGovernment"),
        ("", "", "", "AzureChinaCloud", "AzureChinaCloud"),
        ("", "ml.azurecr.us", "", "AzureChinaCloud", "AzureUSGovernment"),
    ],
)
def test_the_nearest_word_about_the_cloud_counts(  # noqa: PLR0917
    tmp_path: Path, name: str, host: str, variable: str, used_by_az: str, expected: str
) -> None:
    """What was typed, then the registry's host, then the variable, then what az uses, then the public cloud."""
    _az(tmp_path, used_by_az)
    environment = {"AZURE_SDK_CLOUD_CONF": variable} if variable else {}
    assert find_cloud(name, login_server=host, environment=environment, home=tmp_path).name == expected


def test_a_sovereign_cloud_has_addresses_and_audiences_of_its_own() -> None:
    """In US Government the audience of ARM has another name than its host; registries are asked for theirs first."""
    cloud = find_cloud("usgov", environment={}, home=Path("/nonexistent"))
    assert cloud.authority == "https://login.microsoftonline.us"
    assert cloud.manager == "https://management.usgovcloudapi.net"
    assert cloud.registry_scopes == (
        "https://containerregistry.azure.net/.default",
        "https://management.core.usgovcloudapi.net/.default",
    )


def test_an_unknown_cloud_is_an_error_that_lists_those_there_are(tmp_path: Path) -> None:
    """As an option it is a mistake in usage, in the variable one of configuration."""
    with pytest.raises(UsageError, match="there is no cloud 'moon'") as caught:
        find_cloud("moon", environment={}, home=tmp_path)
    assert "public, china, usgov" in caught.value.hint
    with pytest.raises(ConfigurationError, match="AZURE_SDK_CLOUD_CONF names 'moon'"):
        find_cloud(environment={"AZURE_SDK_CLOUD_CONF": "moon"}, home=tmp_path)


def test_another_authority_replaces_the_clouds_own_and_must_be_encrypted(tmp_path: Path) -> None:
    """AZURE_AUTHORITY_HOST may be a bare host; plain http is refused, since secrets go there."""
    cloud = find_cloud(environment={"AZURE_AUTHORITY_HOST": "login.example.org"}, home=tmp_path)
    assert (cloud.authority, cloud.well_known) == ("https://login.example.org", False)
    with pytest.raises(ConfigurationError, match="over https only"):
        find_cloud(environment={"AZURE_AUTHORITY_HOST": "http://login.example.org"}, home=tmp_path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mlprod.azurecr.io", True),
        ("MLPROD.AzureCR.io", True),
        ("mlprod-a1b2c3.azurecr.io", True),
        ("mlprod.westeurope.data.azurecr.io", True),
        ("mlprod.azurecr.cn", True),
        ("mlprod.azurecr.us", True),
        ("azurecr.io", False),
        ("evil-azurecr.io", False),
        ("mlprod.azurecr.io.example.org", False),
        ("mlprod.azurecr.io:443", False),
        ("example.org/x.azurecr.io", False),
        ("docker.io", False),
    ],
)
def test_hosts_of_azures_registries(host: str, expected: bool) -> None:
    """A host counts as Azure's, and gets tokens of Azure, by its end alone."""
    assert is_acr_host(host) is expected


def test_the_subscription_in_use_is_read_from_azs_profile(tmp_path: Path) -> None:
    """The profile begins with a byte order mark; without az there is none, and a broken file is told."""
    settings = AzSettings.found({"AZURE_CONFIG_DIR": str(tmp_path)}, Path("/nonexistent"))
    assert settings.subscription() is None
    path = tmp_path / "azureProfile.json"
    listed = [{"id": "a", "isDefault": False}, {"id": "b", "name": "ML", "tenantId": "t", "isDefault": True}]
    path.write_text(json.dumps({"subscriptions": listed}), encoding="utf-8-sig")
    found = settings.subscription()
    assert found is not None
    assert (found.id, found.name, found.tenant_id) == ("b", "ML", "t")
    path.write_text("{")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        settings.subscription()
