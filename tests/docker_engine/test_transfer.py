"""Push, pull, tag, save and build through an engine."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import urllib3

from shipml.docker_engine import Engine
from shipml.docker_engine.loading import load_image
from shipml.docker_engine.transfer import layer_progress
from shipml.errors import (
    BuildError,
    NotAllowedError,
    TryAgainError,
    UsageError,
)
from shipml.events import (
    Event,
    Step,
    StepProgressed,
    ignore,
)
from shipml.oci.archive import read_archive
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.reference import Reference
from tests.peers.registry import Registry

MakeCode = Callable[[str], Image]
# Registry 2.8 answers 400 to containerd where a tag has a manifest of Docker's type: each engine has tags of its own.
ANN = {"username": "ann", "password": "a-good-password"}


def _tag(engine: Engine) -> str:
    return f"{engine.store_kind}-{engine.api_version}"


def _manifest(registry: Registry, name: str, tag: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        "GET",
        f"{registry.url}/v2/{name}/manifests/{tag}",
        headers=urllib3.make_headers(basic_auth="ann:a-good-password")
        | {
            "Accept": "application/vnd.oci.image.manifest.v1+json, "
            "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json"
        },
    )


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.feature("push: with a password, progress per layer")
def test_push_with_a_password(docker: Engine, with_code: MakeCode, locked_registry: Registry) -> None:
    """A push gives the digest under which the registry has the image, and tells progress per layer."""
    reference = Reference.parse(f"{locked_registry.host}/ann/app:{_tag(docker)}")
    load_image(docker, with_code("echo push"), [reference])
    events: list[Event] = []
    digest = docker.push(reference, ANN, events.append)
    answer = _manifest(locked_registry, "ann/app", _tag(docker))
    assert answer.status == HTTPStatus.OK
    assert Digest.of(answer.data) == digest
    assert any(isinstance(event, StepProgressed) for event in events)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("auth", [{}, {"username": "ann", "password": "wrong"}])
@pytest.mark.feature("push: a refusal is an error with its way out")
def test_push_without_the_right(
    auth: dict[str, str], docker: Engine, with_code: MakeCode, locked_registry: Registry
) -> None:
    """A refused push is an error of exit code 4 with the command to log in, though the engine answers 200."""
    reference = Reference.parse(f"{locked_registry.host}/ann/refused:1")
    load_image(docker, with_code("echo refused"), [reference])
    with pytest.raises(NotAllowedError) as caught:
        docker.push(reference, auth)
    assert "docker login" in caught.value.hint
    assert caught.value.exit_code == 4


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.feature("push: a registry that does not answer is an error")
def test_push_to_nobody(engine: Engine, with_code: MakeCode) -> None:
    """A registry that does not answer is worth another try."""
    reference = Reference.parse("127.0.0.1:1/app:1")
    load_image(engine, with_code("echo nobody"), [reference])
    with pytest.raises(TryAgainError):
        engine.push(reference, ANN)


@pytest.mark.engine
@pytest.mark.slow
def test_push_of_nothing(docker: Engine) -> None:
    """An image that the engine lacks is the user's matter."""
    with pytest.raises(UsageError):
        docker.push(Reference.parse("127.0.0.1:1/never/made:1"), {})


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.feature("pull: with a password, by tag and digest")
def test_pull_with_and_without_the_right(docker: Engine, with_code: MakeCode, locked_registry: Registry) -> None:
    """What was pushed comes back; without credentials it is refused, and a wrong tag is no such image."""
    image = with_code("echo pull")
    reference = Reference.parse(f"{locked_registry.host}/ann/pulled:{_tag(docker)}")
    load_image(docker, image, [reference])
    digest = docker.push(reference, ANN)
    docker.remove_image(str(reference))
    with pytest.raises(NotAllowedError):
        docker.pull(reference, {})
    pulled = docker.pull(reference, ANN)
    assert any(str(digest) in name for name in pulled.repository_digests)
    assert docker.pull(reference.with_digest(digest), ANN).id == pulled.id
    with pytest.raises(UsageError):
        docker.pull(reference.with_tag("none"), ANN)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.feature("save: to an archive that shipml reads")
def test_save_gives_an_image_to_read(engine: Engine, with_code: MakeCode, tmp_path: Path) -> None:
    """What an engine holds can be written to an archive, whose config is that of the image."""
    image = with_code("echo save")
    load_image(engine, image, [Reference.parse("saved:1")])
    engine.save("saved:1", tmp_path / "image.tar")
    assert json.loads(read_archive(tmp_path / "image.tar").config)["config"]["Cmd"] == ["sh", "/app/app.sh"]
    assert [path.name for path in tmp_path.iterdir()] == ["image.tar"]
    with pytest.raises(UsageError):
        engine.save("never:made", tmp_path / "none.tar")
    assert not (tmp_path / "none.tar").exists()


def _context(files: dict[str, bytes]) -> Iterator[bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    data = out.getvalue()
    yield from (data[start : start + 65_536] for start in range(0, len(data), 65_536))


_DOCKERFILE = b'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "mkdir", "/made"]\nCMD ["/made"]\n'


@pytest.mark.engine
@pytest.mark.slow
def test_build_with_buildkit(docker: Engine) -> None:
    """A streamed context is built by BuildKit; its trace comes along, and the image has its tag."""
    files = {"Dockerfile": _DOCKERFILE, "busybox": Path("/bin/busybox").read_bytes()}
    parameters = {"version": "2", "t": "built:1", "networkmode": "host"}
    messages = list(docker.build(_context(files), parameters, {}))
    assert any(message.get("id") == "moby.buildkit.trace" for message in messages)
    assert docker.image("built:1").config["Cmd"] == ["/made"]


@pytest.mark.engine
@pytest.mark.slow
def test_a_failed_build_is_an_error(docker: Engine) -> None:
    """The error among the messages is raised, after the trace that came before it."""
    files = {"Dockerfile": _DOCKERFILE.replace(b"mkdir", b"false"), "busybox": Path("/bin/busybox").read_bytes()}
    messages = docker.build(_context(files), {"version": "2", "networkmode": "host"}, {})
    with pytest.raises(BuildError, match="exit code: 1"):
        list(messages)


def test_a_digest_is_demanded_from_the_words_of_each_engine() -> None:
    """Docker reports the digest apart, podman in a line of text; without either there is none."""
    step = Step("push", ignore)
    hexadecimal = "ab" * 32
    assert layer_progress([{"aux": {"Tag": "1", "Digest": f"sha256:{hexadecimal}"}}], step) == Digest(hexadecimal)
    assert layer_progress([{"status": f"1: digest: sha256:{hexadecimal} size: 528"}], step) == Digest(hexadecimal)
    assert layer_progress([{"status": "Pushed", "id": "abc"}], step) is None


@pytest.mark.engine
@pytest.mark.slow
def test_podman_pushes_too(podman_service: object, registry: Registry, with_code: MakeCode) -> None:
    """Podman's socket pushes with a digest."""
    from shipml.docker_engine import connect

    host = podman_service.host  # type: ignore[attr-defined]
    with connect(environment={"DOCKER_HOST": host}, timeout_seconds=10) as engine:
        reference = Reference.parse(f"{registry.host}/ann/podman:1")
        load_image(engine, with_code("echo podman"), [reference])
        digest = engine.push(reference, {})
    listed = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"], capture_output=True, check=True
    )
    assert json.loads(listed.stdout)["Digest"] == str(digest)
