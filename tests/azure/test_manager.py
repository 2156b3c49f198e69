"""The Azure Resource Manager, asked by the real azure-mgmt-containerregistry at the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shipml.azure import (
    Manager,
    SignIn,
    find_cloud,
    sign_in,
)
from shipml.errors import NotAllowedError, TryAgainError, UsageError
from tests.azure_fixtures import ActAs
from tests.peers.azure_cloud import AzureCloud
from tests.peers.faults import Fault


@contextmanager
def _manager(subscription: str = "") -> Iterator[Manager]:
    with sign_in(find_cloud("public"), SignIn(retries=0)) as identity:
        yield Manager(identity, subscription=subscription, poll_seconds=0)


def test_the_registries_of_the_subscription_are_listed(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """With all that decides how they are reached."""
    act_as("developer")
    with _manager() as manager:
        found = {registry.name: registry for registry in manager.registries()}
    one = found["demoint"]
    assert one.login_server == azure_cloud.int.host
    assert (one.resource_group, one.subscription, one.sku) == ("ml", azure_cloud.subscription, "Premium")
    assert (one.is_public, one.is_firewalled, one.uses_abac) == (True, False, False)


def test_a_firewall_and_roles_of_repositories_show(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """Who builds in Azure has to know both before."""
    act_as("developer")
    with azure_cloud.fault(Fault.FIREWALL, Fault.ABAC), _manager() as manager:
        one = manager.find("DemoInt")
    assert (one.is_firewalled, one.uses_abac) == (True, True)


def test_a_registry_is_found_by_its_host_too_and_others_are_named(act_as: ActAs) -> None:
    """The error lists what there is."""
    act_as("developer")
    with _manager() as manager:
        assert manager.find("demoprod.azurecr.io").name == "demoprod"
        with pytest.raises(UsageError, match="sees no registry demoxyz in Azure; it sees: demoint, demoprod"):
            manager.find("demoxyz")


def test_who_may_only_push_sees_no_registry_and_is_told_why(act_as: ActAs) -> None:
    """AcrPush does not include the right to see."""
    act_as("pipeline")
    with _manager() as manager:
        assert manager.registries() == []
        with pytest.raises(NotAllowedError, match="sees no registry in Azure") as caught:
            manager.find("demoint")
    assert "AcrPush does not include" in caught.value.hint


def test_the_subscription_is_the_one_named_else_azs_else_all(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Az's choice counts for who is logged in with az; others are asked which they see."""
    act_as("developer")
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")
    with _manager("named") as manager:
        assert manager.subscriptions() == ["named"]
    with _manager() as manager:
        assert manager.subscriptions() == [azure_cloud.subscription]
    assert azure_cloud.log.find("arm", "GET", "^/subscriptions$")
    azure_cloud.log.clear()
    act_as("")
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")
    monkeypatch.setenv("PATH", str(azure_cloud.bin), prepend=":")
    with _manager() as manager:
        assert manager.subscriptions() == [azure_cloud.subscription]
    assert azure_cloud.log.find("arm") == []


def test_a_registry_is_made_and_can_be_used_at_once(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """It is waited for until it is there."""
    act_as("developer")
    name = f"made{len(azure_cloud.registries)}by"
    with _manager() as manager:
        made = manager.create(name, resource_group="ml", location="westeurope", sku="Standard")
        assert (made.login_server, made.sku, made.provisioning) == (f"{name}.azurecr.io", "Standard", "Succeeded")
        with pytest.raises(UsageError, match="already in use"):
            manager.create(name, resource_group="ml", location="westeurope")
        with pytest.raises(UsageError, match="no SKU 'Huge'"):
            manager.create("another", resource_group="ml", sku="Huge")


@pytest.mark.parametrize(
    ("fault", "said"),
    [(Fault.WRONG_TENANT, "az login --tenant"), (Fault.NO_ARM, "az role assignment create")],
)
def test_refusals_of_the_stand_in_are_told_with_the_command(
    azure_cloud: AzureCloud, act_as: ActAs, fault: Fault, said: str
) -> None:
    """What ARM says comes through the SDK's exceptions as well as through calls that it has no method for."""
    act_as("developer")
    with azure_cloud.fault(fault), _manager() as manager:
        with pytest.raises(NotAllowedError) as caught:
            manager.create("another5", resource_group="ml", location="westeurope")
        assert said in caught.value.hint
        with pytest.raises(NotAllowedError) as caught:
            manager.call("POST", f"{azure_cloud.int.settings.id}/scheduleRun?api-version=2019-04-01", {}, doing="build")
        assert said in caught.value.hint


def test_an_expired_login_is_told(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """A token that ended in the middle."""
    act_as("developer")
    with _manager() as manager:
        manager.registries()
        azure_cloud.clock.advance(4000)
        with pytest.raises(NotAllowedError, match="the login has expired"):
            manager.registries()


def test_arm_out_of_reach_may_be_tried_again(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that has no way there is a matter of the network."""
    act_as("developer")
    with sign_in(find_cloud("public"), SignIn()) as identity:
        identity.token(identity.cloud.manager_scope)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        with pytest.raises(TryAgainError, match=r"management\.azure\.com cannot be reached"):
            Manager(identity, attempts=0).registries()
    assert azure_cloud.log.find("arm") == []
