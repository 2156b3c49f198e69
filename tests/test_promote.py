"""Promotion between real registries: the same digest arrives, moved tags are caught, and the way back is open."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipml.api import Shipml
from shipml.errors import (
    NotAllowedError,
    SmokeTestError,
    TryAgainError,
    UnavailableError,
    UsageError,
)
from shipml.events import (
    Event,
    Notice,
    OutputReceived,
    StepFinished,
)
from shipml.facts.plan import SmokeCheck
from shipml.facts.smoke_label import SMOKE_LABEL, smoke_label
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import INDEX_MEDIA_TYPE, Platform, canonical_json
from shipml.oci.reference import Reference
from shipml.publish.destination import Destination
from shipml.publish.promotion import Promoted
from shipml.publish.transfer import copy_image
from shipml.registry.keychain import DockerKeychain
from shipml.registry.remote import Registries
from tests.peers.engine import run
from tests.peers.registry import Registry, start_registry
from tests.runtimes.images import busybox_layer, make_image, shell_image

pytestmark = [pytest.mark.engine, pytest.mark.slow]

HTPASSWD = "ann:$2b$04$3LZo0Ulrl75ffrtgAk65r.05BvPxVXrfvkukbi7obUnt64QDI.gpS\n"
PASSWORD = "s3cret:of:ann"


@pytest.fixture(scope="module")
def prod() -> Iterator[Registry]:
    """A second registry, which lets ann in."""
    with start_registry(HTPASSWD) as started:
        yield started


class Desk:
    """A session of shipml in a folder whose settings name two environments."""

    def __init__(self, folder: Path, registry: Registry, prod: Registry) -> None:
        self.heard: list[Event] = []
        self.listeners: list[Callable[[Event], None]] = []
        self.folder = folder
        self.name = f"promote/{os.urandom(4).hex()}"
        self.int_name = f"{registry.host}/{self.name}"
        self.prod_name = f"{prod.host}/{self.name}-prod"
        self.session = Shipml(folder / "home", self._hear)
        self.registries = Registries(DockerKeychain(home=folder))
        (folder / "shipml.toml").write_text(
            f'[environments.int]\nregistry = "{registry.host}"\nrepository = "{self.name}"\ntag = "int"\n'
            f'[environments.prod]\nregistry = "{prod.host}"\nrepository = "{self.name}-prod"\ntag = "stable"\n'
        )

    def _hear(self, event: Event) -> None:
        self.heard.append(event)
        for listener in list(self.listeners):
            listener(event)

    def put(self, image: Image, *references: str) -> Image:
        """Put an image into a registry, past shipml's smoke test."""
        named = [Reference.parse(reference) for reference in references]
        copy_image(image, named, self.registries.client(named[0]))
        return image

    def meaning(self, reference: str) -> Digest | None:
        """What a tag means in a registry now."""
        parsed = Reference.parse(reference)
        return self.registries.client(parsed).head_manifest(parsed.repository, parsed.tag or "")

    def promote(self, text: str = "", to: str = "prod", **options: object) -> Promoted:
        """Promote from int."""
        chosen: dict[str, object] = {"origin": "int", "folder": self.folder, **options}
        return self.session.promote(text, to, **chosen)  # type: ignore[arg-type]

    def back(self) -> Promoted:
        """Undo the last promotion to prod."""
        return self.session.promote("", "prod", rollback=True, folder=self.folder)


@pytest.fixture
def desk(tmp_path: Path, registry: Registry, prod: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A session with ann's credentials for the second registry, and no engine."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    auth = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {prod.host: {"auth": auth}}}))
    made = Desk(tmp_path, registry, prod)
    with made.session:
        yield made


def test_int_to_prod_and_back(desk: Desk) -> None:
    """The digest of INT runs in PROD, run here once before; what was there before is known, and comes back."""
    first = desk.put(shell_image("echo accuracy: 0.9"), f"{desk.int_name}:int")
    done = desk.promote()
    assert (done.digest, done.before, done.way, done.smoke) == (first.digest, None, "copy", "passed")
    assert done.pinned == f"{desk.prod_name}@{first.digest}"
    assert done.uploaded_bytes > 0
    assert desk.meaning(f"{desk.prod_name}:stable") == first.digest
    assert [event for event in desk.heard if isinstance(event, OutputReceived)]

    second = desk.put(shell_image("echo accuracy: 0.95"), f"{desk.int_name}:int")
    again = desk.promote()
    assert (again.before, again.digest) == (first.digest, second.digest)
    assert again.uploaded_bytes < done.uploaded_bytes, "the layer is there already"
    assert again.way_back == f"shipml promote {desk.prod_name}@{first.digest} --to {desk.prod_name}:stable"
    assert again.to_json()["before"] == str(first.digest)

    assert desk.promote().way == "there already"
    undone = desk.back()
    assert (undone.digest, undone.before, undone.way) == (first.digest, second.digest, "rollback")
    assert desk.meaning(f"{desk.prod_name}:stable") == first.digest
    with pytest.raises(UsageError, match="had nothing before"):
        desk.back()
    desk.put(second, f"{desk.prod_name}:stable")
    with pytest.raises(UsageError, match="not known here") as caught:
        desk.back()
    assert "@sha256:" in caught.value.hint


def test_the_way_back_works_anywhere(desk: Desk) -> None:
    """The command that a promotion prints puts the former digest back from a machine that knows nothing."""
    first = desk.put(shell_image("echo one"), f"{desk.prod_name}:stable", f"{desk.prod_name}:old")
    desk.put(shell_image("echo two"), f"{desk.int_name}:int")
    words = desk.promote().way_back.split()
    assert words[:2] == ["shipml", "promote"]
    desk.session.promote(words[2], words[4], folder=desk.folder, smoke=False)
    assert desk.meaning(f"{desk.prod_name}:stable") == first.digest


def test_what_passed_here_is_not_run_again(desk: Desk) -> None:
    """The evidence of an earlier smoke test of the digest counts, and a second promotion moves nothing."""
    image = desk.put(shell_image("echo ok"), f"{desk.int_name}:int")
    desk.session.run_image(image)
    desk.heard.clear()
    assert desk.promote().smoke == "passed before"
    again = desk.promote()
    assert (again.way, again.uploaded_bytes, again.before) == ("there already", 0, image.digest)
    assert not again.way_back
    assert not [event for event in desk.heard if isinstance(event, OutputReceived)]


def test_what_fails_is_not_promoted(desk: Desk) -> None:
    """An image that fails its smoke test, or cannot be run here, stays where it is unless --no-smoke says otherwise."""
    desk.put(shell_image("exit 3"), f"{desk.int_name}:int")
    with pytest.raises(SmokeTestError, match="not promoted"):
        desk.promote()
    foreign = make_image([busybox_layer()], platform=Platform("linux", "s390x"), Cmd=["true"])
    desk.put(foreign, f"{desk.int_name}:int")
    with pytest.raises(UnavailableError, match="not promoted, because it was not run") as caught:
        desk.promote()
    assert "--no-smoke" in caught.value.hint
    assert desk.meaning(f"{desk.prod_name}:stable") is None
    done = desk.promote(smoke=False)
    assert done.smoke.startswith("not run, because")
    assert desk.meaning(f"{desk.prod_name}:stable") == foreign.digest
    assert [event for event in desk.heard if isinstance(event, Notice) and "without a smoke test" in event.message]


def test_what_is_not_to_be_run(desk: Desk) -> None:
    """An image whose own settings say why it cannot be run is promoted and pushed with that reason instead of a run."""
    label = smoke_label(SmokeCheck(skip="it needs a GPU"))
    image = make_image([busybox_layer()], Cmd=["false"], Labels={SMOKE_LABEL: label})
    desk.put(image, f"{desk.int_name}:int")
    assert desk.promote().smoke == "not run, because it needs a GPU"
    desk.session.store.tag("gpu:latest", desk.session.store.keep_image(image))
    pushed = desk.session.push("gpu", Destination(f"{desk.int_name}:pushed"))
    assert pushed.smoke == "not run, because it needs a GPU"


def test_within_one_registry_blobs_are_mounted(desk: Desk) -> None:
    """Between two repositories of one registry no layer goes through this machine."""
    image = desk.put(shell_image("echo ok"), f"{desk.int_name}:int")
    done = desk.promote(to=f"{desk.int_name}-prod:stable", smoke=False)
    assert (done.way, done.uploaded_bytes < 2000) == ("mount", True)
    assert done.mounted_bytes >= sum(layer.size_bytes for layer in image.layers)
    assert desk.meaning(f"{desk.int_name}-prod:stable") == image.digest


def test_a_tag_that_moves_in_the_middle(desk: Desk) -> None:
    """Where INT's tag moves while its image is copied, PROD's tag stays as it was, and the error names both digests."""
    former = desk.put(shell_image("echo former"), f"{desk.prod_name}:stable")
    first = desk.put(shell_image("echo first"), f"{desk.int_name}:int")
    other = shell_image("echo other")

    def move(event: Event) -> None:
        if isinstance(event, StepFinished) and event.name == "push":
            desk.listeners.clear()
            desk.put(other, f"{desk.int_name}:int")

    desk.listeners.append(move)
    with pytest.raises(TryAgainError, match=str(first.digest)) as caught:
        desk.promote(smoke=False)
    assert str(other.digest) in caught.value.message
    assert f"@{first.digest}" in caught.value.hint
    assert desk.meaning(f"{desk.prod_name}:stable") == former.digest


def test_two_promotions_at_once(desk: Desk) -> None:
    """Where somebody else moves PROD's tag in the meantime, it is not overwritten."""
    desk.put(shell_image("echo first"), f"{desk.int_name}:int")
    other = shell_image("echo other")

    def move(event: Event) -> None:
        if isinstance(event, StepFinished) and event.name == "push":
            desk.listeners.clear()
            desk.put(other, f"{desk.prod_name}:stable")

    desk.listeners.append(move)
    with pytest.raises(TryAgainError, match="moved meanwhile"):
        desk.promote(smoke=False)
    assert desk.meaning(f"{desk.prod_name}:stable") == other.digest


def test_an_index_arrives_whole(desk: Desk) -> None:
    """An image for several platforms keeps its digest, and every platform of it can be pulled from PROD."""
    images = [
        make_image([busybox_layer()], platform=Platform("linux", cpu), Entrypoint=["/bin/sh", "-c"], Cmd=["echo ok"])
        for cpu in ("amd64", "arm64")
    ]
    entries = []
    for image, cpu in zip(images, ("amd64", "arm64"), strict=True):
        desk.put(image, f"{desk.int_name}:{cpu}")
        entries.append(
            {
                "mediaType": image.media_type,
                "digest": str(image.digest),
                "size": len(image.manifest),
                "platform": {"os": "linux", "architecture": cpu},
            }
        )
    index = canonical_json({"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": entries})
    source = Reference.parse(f"{desk.int_name}:int")
    desk.registries.client(source).put_manifest(source.repository, "int", index, INDEX_MEDIA_TYPE)
    done = desk.promote()
    assert done.digest == Digest.of(index)
    assert done.smoke == f"passed, for {Platform.of_this_machine()} alone"
    for cpu in ("amd64", "arm64"):
        credentials = ["--creds", f"ann:{PASSWORD}", "--override-arch", cpu]
        target = f"docker://{desk.prod_name}:stable"
        found = run(["skopeo", "inspect", "--tls-verify=false", *credentials, target])
        assert json.loads(found.stdout)["Architecture"] == cpu


def test_who_may_not_push_is_told(desk: Desk) -> None:
    """Without credentials for PROD nothing is moved, and the error names the registry and how to log in."""
    desk.put(shell_image("echo ok"), f"{desk.int_name}:int")
    (desk.folder / "docker" / "config.json").write_text("{}")
    with pytest.raises(NotAllowedError) as caught:
        desk.promote()
    assert "login" in caught.value.hint


def test_the_environments_password_is_for_the_target(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """SHIPML_USERNAME and SHIPML_PASSWORD go to PROD alone: INT, which asks for nothing, never sees them."""
    desk.put(shell_image("echo ok"), f"{desk.int_name}:int")
    (desk.folder / "docker" / "config.json").write_text("{}")
    monkeypatch.setenv("SHIPML_USERNAME", "ann")
    monkeypatch.setenv("SHIPML_PASSWORD", PASSWORD)
    with pytest.raises(NotAllowedError) as caught:
        desk.promote()
    assert f"SHIPML_REGISTRY={desk.prod_name.partition('/')[0]}" in caught.value.hint
    monkeypatch.setenv("SHIPML_REGISTRY", desk.prod_name.partition("/")[0])
    assert desk.promote().way == "copy"
    monkeypatch.delenv("SHIPML_REGISTRY")
    with pytest.raises(NotAllowedError):
        desk.session.promote(f"{desk.prod_name}:stable", f"{desk.int_name}:back", folder=desk.folder)


def test_what_is_not_there(desk: Desk) -> None:
    """A tag that INT does not have is an error that names it."""
    with pytest.raises(UsageError, match="nothing-here"):
        desk.promote("nothing-here")
