"""`push` without an engine: what was run arrives byte for byte, from store, layout or archive; others read it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipml.api import Shipml
from shipml.errors import (
    NotAllowedError,
    SmokeTestError,
    UnavailableError,
    UntrustedInputError,
    UsageError,
)
from shipml.oci.archive import write_docker_archive
from shipml.oci.image import Image
from shipml.oci.layout import read_layout, write_layout
from shipml.oci.reference import Reference
from shipml.publish.destination import Destination
from tests.peers.artifact_tools import cosign, oras
from tests.peers.engine import Engine, run
from tests.peers.fault_proxy import FaultProxy
from tests.peers.need import need
from tests.peers.podman import Podman
from tests.peers.registry import Registry, start_registry
from tests.publish.pushing import look_at, new_name
from tests.runtimes.images import shell_image

pytestmark = [pytest.mark.engine]

_HTPASSWD = "ann:$2y$05$abcdefghijklmnopqrstuuOcxJew.7PcUcLTkSpIxDnA.SkQFXjFm\n"
_PASSWORD = "a-good-password"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shipml]:
    """A session without an engine and without credentials."""
    need(root=True)  # the sandbox overlays the layers
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text("{}")  # podman insists on it
    with Shipml(tmp_path / "home") as opened:
        yield opened


def kept(session: Shipml, name: str, command: str = "echo accuracy: 0.96875") -> Image:
    """An image in the store, under a name."""
    image = shell_image(command)
    session.store.keep_image(image)
    session.store.tag(name, image.digest)
    return image


def test_what_was_run_arrives_without_an_engine(session: Shipml, registry: Registry) -> None:
    """The registry has the very manifest of the store, under every tag, after a smoke test; the bytes are counted."""
    image, repository = kept(session, "iris:1"), new_name()
    pushed = session.push("iris:1", Destination(f"{registry.host}/{repository}", tags=("1.0", "stable")))
    assert (pushed.digest, pushed.identity, pushed.pushed_by) == (image.digest, "same manifest", "client")
    assert pushed.smoke == "passed"
    assert pushed.credentials == "none"
    assert {look_at(registry, repository, tag, image) for tag in ("1.0", "stable")} == {"whole"}
    total = sum(layer.size_bytes for layer in image.layers) + len(image.config) + 2 * len(image.manifest)
    assert (pushed.uploaded_bytes, pushed.mounted_bytes, pushed.skipped_bytes) == (total, 0, 0)
    again = session.push("iris:1", Destination(f"{registry.host}/{repository}", tags=("stable",)))
    assert (again.smoke, again.uploaded_bytes) == ("passed before", 0)


def test_what_was_pushed_elsewhere_is_mounted(session: Shipml, registry: Registry) -> None:
    """A second repository of the same registry gets layers and config from the first."""
    image, first, second = kept(session, "iris:1"), new_name(), new_name()
    session.push("iris:1", Destination(f"{registry.host}/{first}"))
    pushed = session.push("iris:1", Destination(f"{registry.host}/{second}"))
    assert pushed.uploaded_bytes == len(image.manifest)
    assert pushed.mounted_bytes == sum(layer.size_bytes for layer in image.layers) + len(image.config)
    assert look_at(registry, second, "latest", image) == "whole"


def test_a_failed_smoke_test_sends_nothing(session: Shipml, registry: Registry) -> None:
    """A program that fails ends the push before the registry is asked anything."""
    kept(session, "bad:1", "echo no; exit 7")
    with FaultProxy(registry.host) as proxy:
        with pytest.raises(SmokeTestError):
            session.push("bad:1", Destination(f"{proxy.host}/{new_name()}"))
        assert proxy.count() == 0


def test_the_registry_decides_who_may_push(session: Shipml, monkeypatch: pytest.MonkeyPatch) -> None:
    """No or wrong credentials end with exit code 4 and their source, and without the secret; the right ones push."""
    image, repository = kept(session, "mine:1"), new_name()
    with start_registry(_HTPASSWD) as locked:
        where = Destination(f"{locked.host}/{repository}")
        with pytest.raises(NotAllowedError) as caught:
            session.push("mine:1", where)
        assert "login" in caught.value.hint
        monkeypatch.setenv("SHIPML_USERNAME", "ann")
        monkeypatch.setenv("SHIPML_PASSWORD", "a-marked-secret")
        with pytest.raises(NotAllowedError, match=r"ann.* from SHIPML_USERNAME") as caught:
            session.push("mine:1", where)
        assert "a-marked-secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
        monkeypatch.setenv("SHIPML_PASSWORD", _PASSWORD)
        pushed = session.push("mine:1", where)
        assert (pushed.digest, pushed.credentials) == (image.digest, "SHIPML_USERNAME and SHIPML_PASSWORD")


def test_an_engine_is_asked_only_when_it_must(session: Shipml, registry: Registry) -> None:
    """`--via engine` needs one and says what goes without."""
    kept(session, "iris:1")
    with pytest.raises(UnavailableError, match="through the Docker Engine") as caught:
        session.push("iris:1", Destination(f"{registry.host}/{new_name()}"), via="engine")
    assert "--via client" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "write"), [("oci", write_layout), ("docker-archive", write_docker_archive)], ids=["oci", "docker-archive"]
)
def test_a_layout_or_an_archive_is_pushed(
    kind: str, write: Callable[..., None], session: Shipml, registry: Registry, tmp_path: Path
) -> None:
    """What `--output` wrote is run and pushed as it stands, under the name that it has or the one that is given."""
    image, repository = shell_image("echo accuracy: 0.5"), new_name()
    name = Reference.parse(f"{registry.host}/{repository}:7")
    write(image, tmp_path / "there", [name])
    pushed = session.push(f"{kind}:{tmp_path / 'there'}")
    assert (pushed.digest, pushed.smoke, pushed.references) == (image.digest, "passed", (name,))
    assert look_at(registry, repository, "7", image) == "whole"
    other = new_name()
    session.push(f"{kind}:{tmp_path / 'there'}:{name}", Destination(f"{registry.host}/{other}:8"))
    assert look_at(registry, other, "8", image) == "whole"


def test_broken_archives_are_refused(session: Shipml, registry: Registry, tmp_path: Path) -> None:
    """An archive whose layer is another one than its digest says is not pushed, nor is what is no archive."""
    path = tmp_path / "image.tar"
    write_docker_archive(shell_image("echo accuracy: 0.5"), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    where = Destination(f"{registry.host}/{new_name()}")
    with pytest.raises(UntrustedInputError):
        session.push(f"docker-archive:{path}", where)
    path.write_bytes(b"no tar")
    with pytest.raises(UntrustedInputError):
        session.push(f"docker-archive:{path}", where)
    with pytest.raises(UsageError, match="there is nothing at"):
        session.push(f"oci:{tmp_path}/missing", where)
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("manifest.json")
        document = json.dumps([{"Config": "../../etc/passwd", "Layers": [], "RepoTags": 5}]).encode()
        entry.size = len(document)
        archive.addfile(entry, io.BytesIO(document))
    with pytest.raises(UntrustedInputError, match="lacks"):
        session.push(f"docker-archive:{path}", where)


@pytest.mark.slow
def test_others_pull_what_was_pushed(
    session: Shipml, registry: Registry, docker_20: Engine, podman: Podman, tmp_path: Path
) -> None:
    """By digest and by tag, skopeo, Docker and podman find what was pushed, and run it; what Docker saved goes back."""
    image, repository = kept(session, "iris:1", "echo accuracy: 0.75"), new_name()
    name = f"{registry.host}/{repository}"
    pushed = session.push("iris:1", Destination(f"{name}:1"))
    inspected = json.loads(run(["skopeo", "inspect", "--tls-verify=false", f"docker://{pushed.pinned}"]).stdout)
    assert inspected["Digest"] == str(image.digest)
    run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{name}:1", f"oci:{tmp_path}/copied:1"])
    for pulled in (pushed.pinned, f"{name}:1"):
        docker_20.docker("pull", "--quiet", pulled)
        assert docker_20.docker("run", "--rm", "--network", "none", pulled).stdout == "accuracy: 0.75\n"
    docker_20.docker("save", "--output", f"{tmp_path}/saved.tar", f"{name}:1")
    saved = session.push(f"docker-archive:{tmp_path}/saved.tar", Destination(f"{name}:saved"))
    docker_20.docker("pull", "--quiet", saved.pinned)
    assert docker_20.docker("run", "--rm", "--network", "none", saved.pinned).stdout == "accuracy: 0.75\n"
    podman.podman("pull", "--quiet", "--tls-verify=false", pushed.pinned)
    assert podman.run_image(pushed.pinned).stdout == "accuracy: 0.75\n"


@pytest.mark.slow
def test_tools_for_artifacts_read_and_sign_what_was_pushed(session: Shipml, registry: Registry, tmp_path: Path) -> None:
    """Signed and copied by digest: oras copies it, cosign signs and verifies it, with a key and without any service."""
    image, repository = kept(session, "iris:1"), new_name()
    pinned = session.push("iris:1", Destination(f"{registry.host}/{repository}:1")).pinned
    described = json.loads(oras("manifest", "fetch", "--plain-http", "--descriptor", pinned).stdout)
    assert (described["digest"], described["size"]) == (str(image.digest), len(image.manifest))
    oras("copy", "--from-plain-http", "--to-oci-layout", pinned, f"{tmp_path}/copied:1")
    assert read_layout(tmp_path / "copied").manifest == image.manifest
    cosign("generate-key-pair", "--output-key-prefix", f"{tmp_path}/key")
    offline = ("--use-signing-config=false", "--tlog-upload=false", "--yes")
    cosign("sign", "--key", f"{tmp_path}/key.key", *offline, "--allow-http-registry", pinned)
    cosign("verify", "--key", f"{tmp_path}/key.pub", "--insecure-ignore-tlog", "--allow-http-registry", pinned)
    again = session.push("iris:1", Destination(f"{registry.host}/{repository}:1"))
    assert (again.pinned, again.uploaded_bytes) == (pinned, 0)
