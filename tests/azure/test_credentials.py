"""Signing in to Azure, by the real azure-identity at the stand-in for Entra, in each way that shipml offers."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from shipml.azure import (
    AudienceRefusedError,
    Cloud,
    DeviceCode,
    Identity,
    SignIn,
    find_cloud,
    sign_in,
)
from shipml.errors import (
    ConfigurationError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
)
from tests.azure_fixtures import ActAs
from tests.peers.azure_cloud import AzureCloud
from tests.peers.faults import Fault
from tests.peers.marks import find_marks


def _cloud() -> Cloud:
    return find_cloud("public")


def _owner(token: str) -> str:
    part = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["oid"])


def _identity(how: SignIn | None = None) -> Identity:
    return sign_in(_cloud(), how or SignIn())


def _refusal(how: SignIn | None = None) -> ShipmlError:
    with _identity(how) as identity, pytest.raises(ShipmlError) as caught:
        identity.token(_cloud().registry_scopes[0])
    assert find_marks(f"{caught.value!r} {caught.value.message} {caught.value.hint}") == []
    return caught.value


def test_a_service_principal_in_the_environment_signs_in(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """Its token is for the audience that was asked for, and printing it shows nothing."""
    act_as("pipeline")
    with _identity() as identity:
        token = identity.token(_cloud().registry_scopes[0])
        assert identity.name == "Azure (service principal)"
    assert _owner(token.value) == azure_cloud.identity("pipeline").object_id
    assert find_marks(repr(token)) == []


def test_a_machine_signs_in_as_itself(azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is in the environment, the machine's managed identity is used, and named."""
    act_as("")
    monkeypatch.setattr(azure_cloud.imds, "identity", azure_cloud.identity("machine"))
    with _identity() as identity:
        assert identity.name == "Azure"
        assert _owner(identity.token(_cloud().manager_scope).value) == azure_cloud.identity("machine").object_id
        assert identity.name == "Azure (managed identity)"


def test_a_pod_signs_in_by_workload_identity(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file that Kubernetes mounts stands for the identity."""
    act_as("")
    (tmp_path / "token").write_text(azure_cloud.github.assertion())
    monkeypatch.setenv("AZURE_CLIENT_ID", azure_cloud.identity("pipeline").client_id)
    monkeypatch.setenv("AZURE_TENANT_ID", azure_cloud.identity("pipeline").tenant)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    with _identity() as identity:
        assert _owner(identity.token(_cloud().manager_scope).value) == azure_cloud.identity("pipeline").object_id
        assert identity.name == "Azure (workload identity)"


def test_who_is_logged_in_with_az_is_asked(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The az program gives the token; once it is logged out, the error says which ways were tried."""
    act_as("")
    monkeypatch.setenv("PATH", str(azure_cloud.bin), prepend=":")
    with _identity() as identity:
        assert _owner(identity.token(_cloud().registry_scopes[0]).value) == azure_cloud.identity("developer").object_id
        assert identity.name == "Azure (az CLI)"
    with azure_cloud.az_logged_out():
        error = _refusal()
    assert isinstance(error, NotAllowedError)
    assert error.message.startswith("nobody is logged in to Azure here (")
    assert "az is not logged in" in error.message
    assert "no managed identity" in error.message
    assert "az login" in error.hint
    assert "--device-code" in error.hint


def test_a_device_code_is_shown_and_signs_in(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is told once where to type what, and both audiences follow from that."""
    act_as("")
    monkeypatch.setattr(azure_cloud.entra, "device_interval_seconds", 0)
    shown: list[DeviceCode] = []
    with _identity(SignIn(device_code=shown.append)) as identity:
        for scope in _cloud().registry_scopes:
            assert _owner(identity.token(scope).value) == azure_cloud.identity("developer").object_id
        assert identity.name == "Azure (device code)"
    assert [(one.code, one.url) for one in shown] == [("STANDIN42", "https://login.microsoftonline.com/devicelogin")]
    assert "STANDIN42" in shown[0].message


def _in_github(cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cloud.github_environment().items():
        monkeypatch.setenv(name, value)


def test_a_github_workflow_signs_in_with_a_fresh_assertion_each_time(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assertions live for minutes: a second audience, later, gets one of its own."""
    act_as("")
    _in_github(azure_cloud, monkeypatch)
    with _identity() as identity:
        identity.token(_cloud().registry_scopes[0])
        azure_cloud.clock.advance(azure_cloud.github.assertion_seconds + 1)
        assert _owner(identity.token(_cloud().manager_scope).value) == azure_cloud.identity("pipeline").object_id
        assert identity.name == "Azure (GitHub Actions)"
    assert len(azure_cloud.log.find("github", "GET", status=200)) == 2


def test_a_workflow_of_another_branch_is_told_how_to_be_trusted(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entra does not know its subject: the hint is az's command that makes the application trust it."""
    act_as("")
    _in_github(azure_cloud, monkeypatch)
    monkeypatch.setattr(azure_cloud.github, "subject", "repo:example/model:pull_request")
    error = _refusal()
    assert "repo:example/model:pull_request" in error.message
    assert "az ad app federated-credential create" in error.hint


def test_a_workflow_without_permission_is_told_which(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub gives no assertion to a job that may not ask for one."""
    act_as("")
    _in_github(azure_cloud, monkeypatch)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another")
    assert "id-token: write" in _refusal().hint


def test_a_wrong_secret_is_told_with_the_command_for_a_new_one(act_as: ActAs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which credential was refused, in Entra's words with their number."""
    act_as("pipeline")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    error = _refusal()
    assert isinstance(error, NotAllowedError)
    assert not isinstance(error, AudienceRefusedError)
    assert error.message.startswith("Azure (service principal) is refused: AADSTS7000215: Invalid client secret")
    assert "az ad app credential reset" in error.hint


def test_an_unknown_tenant_is_told_with_the_command(act_as: ActAs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant is what is wrong, not the audience."""
    act_as("pipeline")
    monkeypatch.setenv("AZURE_TENANT_ID", "33333333-3333-4333-8333-333333333333")
    error = _refusal()
    assert error.message == "Azure (service principal): Entra knows no tenant 33333333-3333-4333-8333-333333333333"
    assert "AZURE_TENANT_ID" in error.hint


def test_an_audience_that_entra_lacks_is_an_error_of_its_own(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """So that whoever asks can try another; with the other one all is well."""
    act_as("pipeline")
    with azure_cloud.fault(Fault.ACR_AUDIENCE_OFF), _identity() as identity:
        with pytest.raises(AudienceRefusedError, match="AADSTS50001"):
            identity.token(_cloud().registry_scopes[0])
        assert identity.token(_cloud().registry_scopes[1]).value


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_private_authority_is_trusted_by_any_of_the_variables(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Left alone, the SDK would look at one of the three only."""
    act_as("pipeline")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(azure_cloud.authority.certificate))
    with _identity() as identity:
        assert identity.token(_cloud().registry_scopes[0]).value


def test_an_authority_that_is_not_trusted_is_told(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint names the variable that mends it."""
    act_as("pipeline")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    error = _refusal(SignIn(retries=0))
    assert "authority that is not trusted here" in error.message
    assert "SSL_CERT_FILE" in error.hint


def test_entra_out_of_reach_may_be_tried_again(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that fails is no refusal."""
    act_as("pipeline")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(_refusal(SignIn(retries=0)), TryAgainError)


def test_a_wrong_choice_of_credentials_is_a_mistake_in_configuration(
    act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What azure-identity says of the variable is passed on."""
    act_as("pipeline")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "wishful")
    with pytest.raises(ConfigurationError, match="AZURE_TOKEN_CREDENTIALS"):
        _identity()


def test_a_tenant_that_was_named_is_the_one_that_is_asked(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """--tenant reaches every credential of the chain."""
    act_as("pipeline")
    named = azure_cloud.identity("stranger").tenant
    error = _refusal(SignIn(tenant=named))
    assert "AADSTS700016" in error.message
    assert azure_cloud.log.find("entra", "POST", f"^/{named}/")


def test_an_authority_of_ones_own_is_not_looked_up_with_microsoft(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What AZURE_AUTHORITY_HOST names is asked itself: Microsoft's directory of authorities does not know it."""
    act_as("pipeline")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", azure_cloud.entra.url)
    with _identity() as identity:
        assert identity.cloud.authority == azure_cloud.entra.url
        assert identity.token(_cloud().registry_scopes[0]).value
    assert azure_cloud.log.find("entra", path="/discovery/") == []
