"""The real azure-mgmt-containerregistry against the stand-in for ARM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry.models import (
    ImportImageParameters,
    ImportSource,
    Registry,
    RegistryNameCheckRequest,
    RegistryProperties,
    Sku,
)

from tests.peers.asking import Asking, basic
from tests.peers.azure_cloud import AzureCloud
from tests.peers.faults import Fault
from tests.peers.registry_copy import put_image


@contextmanager
def _client(cloud: AzureCloud, identity: str = "developer") -> Iterator[ContainerRegistryManagementClient]:
    one = cloud.identity(identity)
    credential = ClientSecretCredential(one.tenant, one.client_id, one.secret)
    with ContainerRegistryManagementClient(credential, cloud.subscription, polling_interval=0, retry_total=0) as client:
        yield client


def _importing(cloud: AzureCloud, image: str, tag: str, mode: str = "NoForce") -> ImportImageParameters:
    source = ImportSource(resource_id=cloud.int.settings.id, source_image=image)
    return ImportImageParameters(source=source, target_tags=[tag], mode=mode)


def test_the_subscription_has_two_registries(in_cloud: AzureCloud) -> None:
    """List and get show their login servers and settings."""
    with _client(in_cloud) as client:
        assert [one.name for one in client.registries.list()] == ["demoint", "demoprod"]
        one = client.registries.get("ml", "demoint")
        assert one.properties is not None
        assert one.properties.login_server == "demoint.azurecr.io"
        with pytest.raises(ResourceNotFoundError, match=r"aka\.ms/ARMResourceNotFoundFix"):
            client.registries.get("ml", "nowhere")


def test_who_may_only_push_sees_nothing(in_cloud: AzureCloud) -> None:
    """AcrPush has no right in ARM: the list is empty, the registry 403."""
    with _client(in_cloud, "machine") as client:
        assert list(client.registries.list()) == []
        with pytest.raises(HttpResponseError, match="AuthorizationFailed") as caught:
            client.registries.get("ml", "demoint")
    assert caught.value.status_code == 403


def test_a_registry_can_be_made_and_used(in_cloud: AzureCloud, asking: Asking) -> None:
    """Its name is free, its creation takes a while, then its login server answers."""
    with _client(in_cloud) as client:
        for name, expected in (("demonew", True), ("demoint", False), ("taken", False), ("a-b", False)):
            found = client.registries.check_name_availability(
                RegistryNameCheckRequest(name=name, type="Microsoft.ContainerRegistry/registries")
            )
            assert found.name_available is expected
        wanted = Registry(
            location="westeurope", sku=Sku(name="Basic"), properties=RegistryProperties(admin_user_enabled=True)
        )
        made = client.registries.begin_create("new", "demonew", wanted).result()
        passwords = client.registries.list_credentials("new", "demonew")
    assert made.properties is not None
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.login_server == "demonew.azurecr.io"
    assert len(in_cloud.log.find("arm", "GET", "operationStatuses")) == 2
    assert passwords.passwords is not None
    url = "https://demonew.azurecr.io/oauth2/token?service=demonew.azurecr.io&scope=repository:x:pull"
    assert asking.ask("GET", url, headers=basic("demonew", passwords.passwords[1].value or "")).status == 200


def test_an_admin_user_that_is_off_has_no_passwords(in_cloud: AzureCloud) -> None:
    """The error names the setting."""
    with _client(in_cloud) as client, pytest.raises(HttpResponseError, match="UnAuthorizedForCredentialOperations"):
        client.registries.list_credentials("ml", "demoint")


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({}, "?api-version=2025-11-01", 401, "AuthenticationFailed"),
        ({"Authorization": "Bearer nonsense"}, "?api-version=2025-11-01", 401, "InvalidAuthenticationToken"),
        (None, "", 400, "MissingApiVersionParameter"),
        (None, "?api-version=1999-01-01", 400, "InvalidApiVersionParameter"),
    ],
)
def test_requests_that_arm_refuses(
    asking: Asking, azure_cloud: AzureCloud, *, headers: dict[str, str] | None, query: str, status: int, code: str
) -> None:
    """Without a token, with one of somebody else's, without the API's version or with an unknown one."""
    path = f"/providers/Microsoft.ContainerRegistry/registries{query}"
    if headers is None:
        answer = asking.arm("GET", path)
    else:
        url = f"https://management.azure.com/subscriptions/{azure_cloud.subscription}{path}"
        answer = asking.ask("GET", url, headers=headers)
    assert (answer.status, answer.json()["error"]["code"]) == (status, code)


def test_tokens_that_arm_refuses(asking: Asking, azure_cloud: AzureCloud) -> None:
    """Of another tenant, for another audience, expired: each has its code."""
    path = "/providers/Microsoft.ContainerRegistry/registries?api-version=2025-11-01"
    assert asking.arm("GET", path, "stranger").json()["error"]["code"] == "InvalidAuthenticationTokenTenant"
    token = azure_cloud.directory.access_token(azure_cloud.identity("developer"), "https://management.azure.com")
    azure_cloud.clock.advance(3601)
    url = f"https://management.azure.com/subscriptions/{azure_cloud.subscription}{path}"
    answer = asking.ask("GET", url, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["error"]["code"] == "ExpiredAuthenticationToken"
    other = azure_cloud.directory.access_token(azure_cloud.identity("developer"), "https://containerregistry.azure.net")
    answer = asking.ask("GET", url, headers={"Authorization": f"Bearer {other}"})
    assert answer.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


@pytest.mark.engine
def test_an_image_is_imported_by_digest(in_cloud: AzureCloud) -> None:
    """Manifest and blobs are in the other registry, under the same digest; the operation took a while."""
    digest = put_image(in_cloud.int.place("ml/import"), "1.0")
    with _client(in_cloud) as client:
        asked = _importing(in_cloud, f"ml/import@{digest}", "ml/import:1.0")
        client.registries.begin_import_image("ml", "demoprod", asked).result()
    place = in_cloud.prod.place("ml/import")
    assert place.digest("1.0") == digest
    document: dict[str, Any] = json.loads(place.manifest("1.0")[0])
    assert place.ask("GET", f"blobs/{document['layers'][0]['digest']}").data == b"layer"
    assert [seen.status for seen in in_cloud.log.find("arm", "GET", "operationResults")][-1] == 200
    assert in_cloud.log.find("arm", "GET", "operationResults", status=202)


@pytest.mark.engine
def test_an_import_leaves_a_tag_alone_unless_forced(in_cloud: AzureCloud) -> None:
    """The failure comes from the poll and names the tag; Force moves it."""
    first = put_image(in_cloud.int.place("ml/tag"), "1.0", b"one")
    second = put_image(in_cloud.int.place("ml/tag"), "2.0", b"two")
    with _client(in_cloud) as client:
        start = client.registries.begin_import_image
        start("ml", "demoprod", _importing(in_cloud, f"ml/tag@{first}", "ml/tag:live")).result()
        with pytest.raises(HttpResponseError, match=r"Tag ml/tag:live already exists in target registry"):
            start("ml", "demoprod", _importing(in_cloud, f"ml/tag@{second}", "ml/tag:live")).result()
        start("ml", "demoprod", _importing(in_cloud, f"ml/tag@{second}", "ml/tag:live", "Force")).result()
    assert in_cloud.prod.place("ml/tag").digest("live") == second


@pytest.mark.engine
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.TAG_EXISTS, "already exists"),
        (Fault.FIREWALL, "Forbidden"),
        (Fault.IMPORT_FORBIDDEN, "does not have permission to perform action 'read' on the linked scope"),
        (Fault.NO_ARM, "AuthorizationFailed"),
    ],
)
def test_imports_that_fail(in_cloud: AzureCloud, fault: Fault, said: str) -> None:
    """Each says what Azure says."""
    asked = _importing(in_cloud, "ml/none:1", "ml/none:1")
    with _client(in_cloud) as client, in_cloud.fault(fault), pytest.raises(HttpResponseError, match=said):
        client.registries.begin_import_image("ml", "demoprod", asked).result()


@pytest.mark.engine
def test_an_import_of_nothing_fails(in_cloud: AzureCloud) -> None:
    """The source has no such manifest."""
    asked = _importing(in_cloud, "ml/none:1", "ml/none:1")
    with _client(in_cloud) as client, pytest.raises(HttpResponseError, match="was not found in demoint"):
        client.registries.begin_import_image("ml", "demoprod", asked).result()


def test_a_subscription_registers_the_provider_itself(
    in_cloud: AzureCloud, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """409 MissingSubscriptionRegistration until `register` was asked."""
    monkeypatch.setattr(in_cloud.arm, "provider_registered", False)
    path = "/resourceGroups/ml/providers/Microsoft.ContainerRegistry/registries/a-b?api-version=2025-11-01"
    body = json.dumps({"location": "westeurope", "sku": {"name": "Basic"}})
    assert asking.arm("PUT", path, body=body).json()["error"]["code"] == "MissingSubscriptionRegistration"
    asking.arm("POST", "/providers/Microsoft.ContainerRegistry/register?api-version=2016-02-01")
    assert asking.arm("PUT", path, body=body).json()["error"]["code"] == "InvalidResourceName"


def test_wrong_tenant_is_told_by_the_client(in_cloud: AzureCloud) -> None:
    """The SDK raises an authentication error with ARM's words."""
    with (
        _client(in_cloud) as client,
        in_cloud.fault(Fault.WRONG_TENANT),
        pytest.raises(ClientAuthenticationError, match="wrong issuer"),
    ):
        list(client.registries.list())
