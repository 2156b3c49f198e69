"""`push` through an engine, and `tag`: what was run arrives, under the digest that is reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shipml.api import Shipml
from shipml.docker_engine import Engine
from shipml.docker_engine.loading import load_image
from shipml.errors import (
    NotAllowedError,
    SmokeTestError,
    UnavailableError,
    UsageError,
)
from shipml.events import (
    Event,
    Notice,
    OutputReceived,
    StepProgressed,
)
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.publish.destination import Destination
from tests.peers.engine import run
from tests.peers.registry import Registry
from tests.runtimes.images import busybox_layer, make_image, shell_image

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def heard() -> list[Event]:
    """The events of the session."""
    return []


@pytest.fixture
def session(engine: Engine, heard: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shipml]:
    """A session of shipml with an engine, a store of its own, and nobody's credentials."""
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint.url)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Shipml(tmp_path / "home", heard.append) as opened:
        yield opened


def kept(session: Shipml, command: str, name: str) -> Image:
    """An image in the store, under a name."""
    image = shell_image(command)
    session.store.keep_image(image)
    session.store.tag(name, image.digest)
    return image


def inspected(reference: str) -> dict[str, Any]:
    """What skopeo, which knows nothing of shipml, finds in a registry."""
    document: dict[str, Any] = json.loads(
        run(["skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"]).stdout
    )
    return document


def unique(engine: Engine, word: str) -> str:
    """A repository of the engine's own: registry 2.8 mixes up manifests of Docker's and OCI's type."""
    return f"{word}/{'podman' if engine.is_podman else engine.store_kind}-{engine.version.replace('+', '-')}"


@pytest.mark.feature("push: the image that was run, by digest")
def test_what_was_run_arrives(session: Shipml, engine: Engine, heard: list[Event], registry: Registry) -> None:
    """A push runs the image once, and the registry has its layers under the digest that is reported, for all tags."""
    image = kept(session, "echo accuracy: 0.96875", "iris:1")
    name = f"{registry.host}/{unique(engine, 'arrives')}"
    pushed = session.push("iris:1", Destination(name, tags=("1.0", "stable")), via="engine")
    assert pushed.smoke == "passed"
    assert pushed.pinned == f"{name}@{pushed.digest}"
    assert [str(reference) for reference in pushed.references] == [f"{name}:1.0", f"{name}:stable"]
    assert {inspected(f"{name}:{tag}")["Digest"] for tag in ("1.0", "stable")} == {str(pushed.digest)}
    config = run(["skopeo", "inspect", "--config", "--raw", "--tls-verify=false", f"docker://{pushed.pinned}"])
    assert Digest.of(config.stdout.encode()) == Digest.of(image.config)
    if not engine.is_podman:  # which says nothing before the end
        assert any(isinstance(event, StepProgressed) and event.name == "push" for event in heard)
    expected = {"containerd": "same manifest", "graph": "same config and layers"}[engine.store_kind]
    assert pushed.identity == ("not checked" if engine.is_podman else expected)
    assert (pushed.identity == "same manifest") == (pushed.digest == image.digest)

    heard.clear()
    again = session.push("iris:1", Destination(name), via="engine")
    assert again.smoke == "passed before"
    assert not [event for event in heard if isinstance(event, OutputReceived)]
    document = again.to_json()
    assert document["reference"] == again.pinned
    assert document["uploaded_bytes"] is document["mounted_bytes"] is document["skipped_bytes"] is None


@pytest.mark.feature("push: an image that only the engine has")
def test_what_only_the_engine_has(session: Shipml, engine: Engine, registry: Registry) -> None:
    """An image that was built elsewhere is tagged, run on the engine and pushed from there."""
    name = f"{registry.host}/{unique(engine, 'elsewhere')}"
    load_image(engine, shell_image("echo accuracy: 0.9375"), [Reference.parse("somebody/elses:2")])
    reference, digest = session.tag("somebody/elses:2", name)
    assert engine.image(str(reference)).id == digest == engine.image("somebody/elses:2").id
    pushed = session.push(name)
    assert pushed.smoke == "passed"
    assert session.push(name).smoke == "passed before"
    assert inspected(name)["Digest"] == str(pushed.digest)


@pytest.mark.feature("push: nothing that failed its smoke test")
def test_a_failed_smoke_test_pushes_nothing(
    session: Shipml, engine: Engine, heard: list[Event], registry: Registry
) -> None:
    """A program that fails ends the push before anything is sent; `smoke=False` sends it and says so."""
    kept(session, "echo no; exit 7", "bad:1")
    name = f"{registry.host}/{unique(engine, 'bad')}"
    with pytest.raises(SmokeTestError, match="exit code 7") as caught:
        session.push("bad:1", Destination(name), via="engine")
    assert caught.value.exit_code == 3
    repository = name.removeprefix(f"{registry.host}/")
    assert urllib3.request("GET", f"{registry.url}/v2/{repository}/tags/list").status == HTTPStatus.NOT_FOUND
    pushed = session.push("bad:1", Destination(name), smoke=False, via="engine")
    assert pushed.smoke.startswith("not run, because")
    assert [event.message for event in heard if isinstance(event, Notice) and event.level == "warning"] == [
        f"{name}:latest is pushed without a smoke test"
    ]
    assert inspected(name)["Digest"] == str(pushed.digest)


def test_what_cannot_run_here_is_not_pushed(session: Shipml, registry: Registry) -> None:
    """An image of another CPU is "not run, because …", and needs `--no-smoke`."""
    other = Platform.parse("linux/arm64" if Platform.of_this_machine().architecture == "amd64" else "linux/amd64")
    image = make_image([busybox_layer()], platform=other, Cmd=["sh", "-c", "echo accuracy: 1.0"])
    session.store.keep_image(image)
    session.store.tag("other:1", image.digest)
    with pytest.raises(UnavailableError, match="not pushed, because it was not run") as caught:
        session.push("other:1", Destination(f"{registry.host}/other"))
    assert "--no-smoke" in caught.value.hint


@pytest.mark.feature("tag: in the store and in the engine")
def test_a_tag_is_in_store_and_engine(session: Shipml, engine: Engine) -> None:
    """A new name means the same image in both; the last word on a name counts."""
    first, second = kept(session, "echo one", "tagged:1"), kept(session, "echo two", "tagged:2")
    for image, old in ((first, "tagged:1"), (second, "tagged:2")):
        reference, digest = session.tag(old, "username/ml-docker-app")
        assert (str(reference), digest) == ("username/ml-docker-app:latest", image.digest)
        assert session.store.resolve("username/ml-docker-app").digest == image.digest
        assert engine.image("docker.io/username/ml-docker-app:latest").id == engine.id_of(image)
    for wrong in ("Upper:1", f"name@{first.digest}"):
        with pytest.raises(UsageError):
            session.tag("tagged:1", wrong)


@pytest.mark.feature("push: credentials, and which were used")
def test_the_registry_decides_who_may_push(
    docker: Engine, locked_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong or no credentials end with exit code 4, their source and how to log in; the right ones push."""
    monkeypatch.setenv("DOCKER_HOST", docker.endpoint.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    where = Destination(f"{locked_registry.host}/ann/{unique(docker, 'decides')}")
    with Shipml(tmp_path / "home") as session:
        kept(session, "echo accuracy: 1.0", "mine:1")
        with pytest.raises(NotAllowedError) as caught:
            session.push("mine:1", where, via="engine")
        assert caught.value.hint.endswith(f"shipml login {locked_registry.host}")
        monkeypatch.setenv("SHIPML_USERNAME", "ann")
        monkeypatch.setenv("SHIPML_PASSWORD", "a-wrong-secret")
        with pytest.raises(NotAllowedError, match="those of ann from SHIPML_USERNAME") as caught:
            session.push("mine:1", where, via="engine")
        assert "a-wrong-secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
        monkeypatch.setenv("SHIPML_PASSWORD", "a-good-password")
        assert session.push("mine:1", where, via="engine").credentials == "SHIPML_USERNAME and SHIPML_PASSWORD"
