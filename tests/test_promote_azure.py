"""Promotion between two of Azure's registries, with the stand-ins: inside Azure where rights allow, else through us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.api import Shipml
from shipml.azure.session import AzureSession
from shipml.errors import NotAllowedError, TryAgainError
from shipml.events import Event, Notice
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.reference import Reference
from shipml.publish.promotion import Promoted
from shipml.publish.transfer import copy_image
from shipml.registry.remote import Registries
from tests.peers.azure_cloud import AzureCloud
from tests.peers.faults import Fault
from tests.peers.marks import find_marks
from tests.publish.pushing import new_name
from tests.runtimes.images import shell_image

pytestmark = [pytest.mark.engine, pytest.mark.slow]


class Desk:
    """A session, and two environments that are registries of Azure's."""

    def __init__(self, folder: Path, cloud: AzureCloud) -> None:
        self.heard: list[Event] = []
        self.folder = folder
        self.cloud = cloud
        self.name = new_name()
        self.session = Shipml(folder / "home", self.heard.append)
        (folder / "shipml.toml").write_text(
            f'[environments.int]\nregistry = "acr"\nname = "demoint"\nrepository = "{self.name}"\ntag = "1.4"\n'
            f'[environments.prod]\nregistry = "acr"\nname = "demoprod"\nrepository = "{self.name}"\ntag = "stable"\n'
        )

    def put(self, image: Image, reference: str = "") -> Image:
        """Put an image into INT, as whoever is signed in."""
        named = Reference.parse(reference or f"demoint.azurecr.io/{self.name}:1.4")
        with AzureSession() as azure:
            copy_image(image, [named], Registries(azure.keychain()).client(named))
        return image

    def promote(self) -> Promoted:
        """From INT to PROD, without a smoke test, which is not the matter here."""
        return self.session.promote("", "prod", origin="int", smoke=False, folder=self.folder)

    def in_prod(self) -> Digest | None:
        """What PROD's tag means, asked of the registry behind the stand-in."""
        found = self.cloud.prod.place(self.name).digest("stable")
        return Digest.parse(found) if found else None

    def blobs_through_here(self) -> int:
        """How many requests for PROD's blobs there were."""
        return len([seen for seen in self.cloud.log.find() if "demoprod" in str(seen) and "/blobs/" in str(seen)])

    def notices(self) -> str:
        """What was said."""
        return "\n".join(event.message for event in self.heard if isinstance(event, Notice))


@pytest.fixture
def desk(tmp_path: Path, azure_cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A session as developer, with no docker login and no engine."""
    for name, value in azure_cloud.environment("developer").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    made = Desk(tmp_path, azure_cloud)
    with made.session:
        yield made
    assert find_marks("\n".join(map(repr, made.heard))) == []


def test_inside_azure(desk: Desk) -> None:
    """With rights at the resource manager PROD fetches the image itself: no blob comes through here."""
    image = desk.put(shell_image("echo ok"))
    desk.cloud.log.clear()
    done = desk.promote()
    assert (done.way, done.digest, done.uploaded_bytes) == ("import inside Azure", image.digest, 0)
    assert desk.in_prod() == image.digest
    assert desk.blobs_through_here() == 0
    assert desk.promote().way == "there already"


def test_without_the_right_to_import(desk: Desk) -> None:
    """Who may push and pull but not import promotes all the same: the bytes come through here, and it is said why."""
    image = desk.put(shell_image("echo ok"))
    with desk.cloud.fault(Fault.IMPORT_FORBIDDEN):
        done = desk.promote()
    assert (done.way, desk.in_prod()) == ("copy", image.digest)
    assert done.uploaded_bytes > 0
    assert desk.blobs_through_here() > 0
    assert "the image comes through here" in desk.notices()


def test_without_any_right_at_the_manager(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity with AcrPush alone, as CI has it, promotes through this machine."""
    image = desk.put(shell_image("echo ok"))
    for name, value in desk.cloud.environment("machine").items():
        monkeypatch.setenv(name, value)
    assert desk.promote().way == "copy"
    assert desk.in_prod() == image.digest


def test_who_may_only_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """AcrPull does not suffice: nothing changes, and the hint has the role that is missing."""
    desk.put(shell_image("echo ok"))
    for name, value in desk.cloud.environment("reader").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotAllowedError) as caught:
        desk.promote()
    assert "AcrPush" in caught.value.hint
    assert find_marks(f"{caught.value.message} {caught.value.hint}") == []
    assert desk.in_prod() is None


def test_a_tag_that_moves_during_the_import(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import is by digest; INT's tag moves meanwhile, which is seen before PROD's tag is given to anything."""
    first = desk.put(shell_image("echo first"))
    other = shell_image("echo other")
    desk.put(other, f"demoint.azurecr.io/{desk.name}:other")
    copy = desk.cloud.imports._copy_one

    def moving(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        desk.put(other)

    monkeypatch.setattr(desk.cloud.imports, "_copy_one", moving)
    with pytest.raises(TryAgainError, match=str(first.digest)):
        desk.promote()
    assert desk.in_prod() is None
