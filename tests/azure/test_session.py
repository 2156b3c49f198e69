"""Which of Azure's registries is meant: named, found, chosen or made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shipml.azure import Manager
from shipml.azure.session import AzureOptions, AzureSession, _resolves
from shipml.errors import NotAllowedError, UsageError
from shipml.events import Event, Notice
from shipml.publish.destination import Destination
from shipml.publish.promote import promote
from shipml.publish.push import resolve
from shipml.session import Session
from shipml.store import Store
from tests.azure_fixtures import ActAs
from tests.peers.azure_cloud import AzureCloud

PUBLIC = AzureOptions(cloud="public")


@pytest.fixture
def azure(azure_cloud: AzureCloud, act_as: ActAs) -> Iterator[AzureSession]:
    """A session as who may do everything in the subscription."""
    assert azure_cloud
    act_as("developer")
    with AzureSession(PUBLIC) as session:
        yield session


def test_a_name_becomes_a_host_without_asking_azure(azure_cloud: AzureCloud, azure: AzureSession) -> None:
    """In the cloud that is meant; a host stays one."""
    assert azure.login_server("MLProd") == "mlprod.azurecr.io"
    assert azure.login_server("ml-x1.azurecr.cn") == "ml-x1.azurecr.cn"
    assert AzureSession(AzureOptions(cloud="usgov")).login_server("mlprod") == "mlprod.azurecr.us"
    assert azure_cloud.log.find() == []


def test_a_name_without_such_a_host_is_looked_up(azure: AzureSession) -> None:
    """Some registries have hosts with more in them than their name; one that Azure does not list is an error."""
    assert azure._looked_up("demoint", "usual.azurecr.io") == "demoint.azurecr.io"
    with pytest.raises(UsageError, match="demoint"):
        azure._looked_up("nowhere", "nowhere.azurecr.io")


def test_a_name_that_can_be_no_host_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 63 letters are no label of a host: Azure is asked, as for others that are not there."""
    for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    assert not _resolves(f"{'a' * 64}.azurecr.io")


def test_the_only_registry_is_taken_and_told(
    azure_cloud: AzureCloud, act_as: ActAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody typed which: a notice says it."""
    act_as("developer")
    only = {"demoprod": azure_cloud.arm.registries["demoprod"]}
    monkeypatch.setattr(azure_cloud.arm, "registries", only)
    seen: list[Event] = []
    with AzureSession(PUBLIC, seen.append) as session:
        assert session.login_server() == "demoprod.azurecr.io"
    assert seen == [Notice("the registry is demoprod.azurecr.io, the only one that Azure (service principal) sees")]


def test_one_of_several_is_chosen(azure: AzureSession) -> None:
    """The answers are hosts, with where they are."""
    asked: list[tuple[str, Sequence[str]]] = []

    def choose(question: str, answers: Sequence[str]) -> int:
        asked.append((question, answers))
        return next(number for number, answer in enumerate(answers) if answer.startswith("demoprod."))

    with AzureSession(PUBLIC, choose=choose) as session:
        assert session.login_server() == "demoprod.azurecr.io"
    assert asked[0][0] == "which registry?"
    assert "demoint.azurecr.io  (westeurope, group ml)" in asked[0][1]
    with pytest.raises(UsageError, match="there are several registries in Azure: demoint, "):
        azure.login_server()


@pytest.mark.parametrize("trusted", [True, False])
def test_what_the_settings_call_azures_is_azures(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    """Registries may have hosts of their own, but get tokens of Azure only when SHIPML_REGISTRY names them, too."""
    if trusted:
        monkeypatch.setenv("SHIPML_REGISTRY", "r.example.org")
    (tmp_path / "shipml.toml").write_text('[registries.own]\nkind = "acr"\nhost = "r.example.org"\n')
    never: Any = None
    pushing, promoting = AzureSession(PUBLIC), AzureSession(PUBLIC)
    resolve(Session(store, azure=pushing), Destination(), "iris", tmp_path)
    with pytest.raises(UsageError, match="nowhere"):
        promote(
            Session(store, azure=promoting), never, "q.example.org/x:1", origin="", target="nowhere", folder=tmp_path
        )
    assert [one.keychain().knows("r.example.org") for one in (pushing, promoting)] == [trusted, trusted]


def test_who_sees_none_is_told_that_a_name_suffices(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """A push takes no right to list."""
    assert azure_cloud
    act_as("pipeline")
    with AzureSession(PUBLIC) as session, pytest.raises(NotAllowedError, match="sees no registry") as caught:
        session.login_server()
    assert "--account NAME" in caught.value.hint


def test_a_registry_that_is_there_is_not_made_again(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """--create is for scripts that run every time."""
    act_as("developer")
    options = AzureOptions(cloud="public", create=True, resource_group="ml", location="westeurope")
    with AzureSession(options) as session:
        assert session.login_server("demoint") == "demoint.azurecr.io"
        assert isinstance(session.manager(), Manager)
    assert azure_cloud.log.find("arm", "PUT") == []


@pytest.mark.parametrize(
    ("name", "group", "said"), [("", "ml", "name and a resource group"), ("a", "", "name and"), ("a.b", "ml", "host")]
)
def test_what_cannot_be_made_is_a_mistake_before_anything_is_asked(name: str, group: str, said: str) -> None:
    """A registry is made by its name, in a group."""
    with pytest.raises(UsageError, match=said):
        AzureSession(AzureOptions(create=True, resource_group=group)).login_server(name)
