"""The real azure-identity signs in at the stand-in for Entra, in each of its ways."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    AzureCliCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    DefaultAzureCredential,
    DeviceCodeCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from tests.peers.azure_cloud import AzureCloud
from tests.peers.directory import ACR_AUDIENCE
from tests.peers.faults import Fault

ACR, ARM = f"{ACR_AUDIENCE}/.default", "https://management.azure.com/.default"


def _secret(cloud: AzureCloud, name: str = "pipeline", secret: str = "") -> ClientSecretCredential:
    one = cloud.identity(name)
    return ClientSecretCredential(one.tenant, one.client_id, secret or one.secret)


def _claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


@pytest.mark.parametrize("scope", [ACR, ARM])
def test_a_client_secret_gets_a_token_for_each_audience(in_cloud: AzureCloud, scope: str) -> None:
    """The token is the identity's, for the audience, of the tenant, and good for an hour."""
    found = _secret(in_cloud).get_token(scope)
    claims = _claims(found.token)
    assert claims["aud"] == scope.removesuffix("/.default")
    assert claims["oid"] == in_cloud.identity("pipeline").object_id
    assert claims["tid"] == in_cloud.directory.tenant
    assert 3500 < found.expires_on - time.time() <= 3600
    assert in_cloud.log.find("entra", "POST")[-1].identity == "pipeline"


def test_a_wrong_secret_is_named_as_entra_does(in_cloud: AzureCloud) -> None:
    """The message that people see has Entra's number."""
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        _secret(in_cloud, secret="wrong").get_token(ACR)


def test_an_unknown_application_and_tenant_are_named_as_entra_does(in_cloud: AzureCloud) -> None:
    """Both have numbers of their own."""
    stranger = "33333333-3333-4333-8333-333333333333"
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        ClientSecretCredential(in_cloud.directory.tenant, stranger, "x").get_token(ACR)
    with pytest.raises(ClientAuthenticationError, match=r"AADSTS90002|Unable to get authority configuration"):
        ClientSecretCredential(stranger, stranger, "x").get_token(ACR)


def test_the_audience_of_registries_may_be_missing(in_cloud: AzureCloud) -> None:
    """As on Azure Local: AADSTS50001 for the registries' audience, a token for ARM's."""
    with in_cloud.fault(Fault.ACR_AUDIENCE_OFF):
        with pytest.raises(ClientAuthenticationError, match="AADSTS50001"):
            _secret(in_cloud).get_token(ACR)
        assert _secret(in_cloud).get_token(ARM).token


def test_github_actions_get_in_with_an_assertion(in_cloud: AzureCloud) -> None:
    """The assertion stands for the identity with that subject, while it is fresh."""
    one = in_cloud.identity("pipeline")
    credential = ClientAssertionCredential(one.tenant, one.client_id, in_cloud.github.assertion)
    assert credential.get_token(ACR).token
    old = in_cloud.github.assertion()
    in_cloud.clock.advance(301)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700024"):
        ClientAssertionCredential(one.tenant, one.client_id, lambda: old).get_token(ACR)


def test_an_assertion_of_another_branch_is_refused(in_cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject must be the federated one."""
    one = in_cloud.identity("pipeline")
    monkeypatch.setattr(in_cloud.github, "subject", "repo:example/model:ref:refs/heads/other")
    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        ClientAssertionCredential(one.tenant, one.client_id, in_cloud.github.assertion).get_token(ACR)


def test_a_pod_gets_in_with_its_workload_identity(in_cloud: AzureCloud, tmp_path: Path) -> None:
    """The same assertion from a file."""
    one = in_cloud.identity("pipeline")
    (tmp_path / "token").write_text(in_cloud.github.assertion())
    credential = WorkloadIdentityCredential(
        tenant_id=one.tenant, client_id=one.client_id, token_file_path=str(tmp_path / "token")
    )
    assert credential.get_token(ACR).token


def test_a_machine_has_an_identity_where_it_was_given_one(in_cloud: AzureCloud) -> None:
    """Managed identity: none, then the machine's."""
    with pytest.raises(CredentialUnavailableError):
        ManagedIdentityCredential().get_token(ACR)
    in_cloud.imds.identity = in_cloud.identity("machine")
    found = ManagedIdentityCredential().get_token(ACR)
    assert _claims(found.token)["oid"] == in_cloud.identity("machine").object_id


def test_az_is_logged_in_and_can_be_logged_out(in_cloud: AzureCloud) -> None:
    """The program on PATH answers the real AzureCliCredential."""
    found = AzureCliCredential().get_token(ACR)
    assert _claims(found.token)["oid"] == in_cloud.identity("developer").object_id
    with in_cloud.az_logged_out(), pytest.raises(CredentialUnavailableError, match="az login"):
        AzureCliCredential().get_token(ACR)


def test_the_default_chain_ends_at_az(in_cloud: AzureCloud) -> None:
    """Without variables and without a machine's identity, DefaultAzureCredential asks az."""
    found = DefaultAzureCredential().get_token(ACR)
    assert _claims(found.token)["oid"] == in_cloud.identity("developer").object_id


def test_a_device_code_serves_both_audiences(in_cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """One login by hand, first pending; the second audience comes with the refresh token."""
    monkeypatch.setattr(in_cloud.entra, "device_interval_seconds", 0)
    shown: list[str] = []
    credential = DeviceCodeCredential(prompt_callback=lambda url, code, _: shown.extend([url, code]))
    first, second = credential.get_token(ACR).token, credential.get_token(ARM).token
    assert shown == ["https://login.microsoftonline.com/devicelogin", "STANDIN42"]
    assert [_claims(token)["aud"] for token in (first, second)] == [ACR_AUDIENCE, "https://management.azure.com"]
    assert len(in_cloud.log.find("entra", "POST", "devicecode")) == 1
    assert [seen.note for seen in in_cloud.log.find("entra", status=400)] == ["AADSTS70016"]


def test_a_sovereign_cloud_is_there_too(in_cloud: AzureCloud) -> None:
    """China's authority leads to the same directory, under its own name."""
    one = in_cloud.identity("pipeline")
    credential = ClientSecretCredential(one.tenant, one.client_id, one.secret, authority="login.chinacloudapi.cn")
    assert credential.get_token("https://management.chinacloudapi.cn/.default").token


def test_nothing_else_is_on_the_way(in_cloud: AzureCloud) -> None:
    """Hosts without a stand-in are refused, and logged."""
    import requests

    with pytest.raises(requests.exceptions.ProxyError):
        requests.get("https://example.org/", timeout=10)
    assert in_cloud.log.find("way")[0].path == "example.org:443"
