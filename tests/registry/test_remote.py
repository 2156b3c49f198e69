"""Images in registries, opened lazily: ours, those of other tools, and those behind a mirror of Docker Hub."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shipml.errors import (
    ConfigurationError,
    NotAllowedError,
    UntrustedInputError,
    UsageError,
)
from shipml.oci.digest import Digest
from shipml.oci.documents import DOCKER_INDEX_MEDIA_TYPE, DOCKER_MANIFEST_MEDIA_TYPE
from shipml.oci.image import Image, ImageValue
from shipml.oci.layout import write_layout
from shipml.oci.manifest import INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, Platform
from shipml.oci.reference import Reference
from shipml.oci.unpack import unpack_layer
from shipml.registry.client import RegistryClient
from shipml.registry.credentials import Credentials
from shipml.registry.keychain import DockerKeychain
from shipml.registry.remote import Registries
from shipml.registry.transport import RetryPolicy
from tests.image_fixtures import MakeImage
from tests.peers.engine import run
from tests.peers.podman import Podman
from tests.peers.registry import Registry
from tests.peers.small_server import Asked, Reply, SmallServer, serve
from tests.publish.pushing import new_name, noise_layer

QUICK = RetryPolicy(attempts=2, first_seconds=0.001, timeout_seconds=10)
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def _registries(**environment: str) -> Registries:
    return Registries(DockerKeychain(environment={}), retry=QUICK, environment=environment)


def _push(host: str, repository: str, image: Image, tag: str = "v1") -> Reference:
    client = RegistryClient(host, DockerKeychain(environment={}), retry=QUICK, environment={})
    for layer in image.layers:
        client.upload_blob(repository, layer)
    client.upload_blob(repository, noise_layer(0, data=image.config))
    client.put_manifest(repository, tag, image.manifest, image.media_type)
    return Reference(host, repository, tag)


def _same(found: Image, image: Image) -> bool:
    """Documents and the bytes of all layers."""
    for one, other in zip(found.layers, image.layers, strict=True):
        with one.open() as stream:
            assert Digest.of_stream(stream) == other.digest
    return (found.manifest, found.config) == (image.manifest, image.config)


@pytest.mark.engine
def test_other_tools_pull_what_was_pushed(
    registry: Registry, podman: Podman, make_image: MakeImage, tmp_path: Path
) -> None:
    """Skopeo and podman read by tag and by digest what the client pushed, byte for byte."""
    image = make_image({"bin/a": b"a"}, {"bin/b": b"b" * 100_000})
    reference = _push(registry.host, new_name(), image)
    layout = tmp_path / "layout"
    run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{reference}", f"oci:{layout}:v1"])
    index = json.loads((layout / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == str(image.digest)
    pinned = f"{reference.name}@{image.digest}"
    podman.podman("pull", "--quiet", "--tls-verify=false", pinned)
    inspected = json.loads(podman.podman("image", "inspect", pinned).stdout)
    assert inspected[0]["Digest"] == str(image.digest)
    assert _same(_registries().open_image(reference, AMD64), image)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("options", "manifest_type", "layer_type"),
    [
        (["--format", "v2s2"], DOCKER_MANIFEST_MEDIA_TYPE, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (["--dest-compress-format", "zstd"], MANIFEST_MEDIA_TYPE, "application/vnd.oci.image.layer.v1.tar+zstd"),
    ],
    ids=["docker", "zstd"],
)
def test_what_other_tools_push(
    *,
    registry: Registry,
    make_image: MakeImage,
    tmp_path: Path,
    options: list[str],
    manifest_type: str,
    layer_type: str,
) -> None:
    """Docker's own formats and layers compressed with zstd are opened as they are; their tars have their diff ids."""
    image = make_image({"a": b"a" * 1000 + os.urandom(8)}, {"b": os.urandom(8)})  # skopeo uses what is there
    write_layout(image, tmp_path / "layout")
    target = f"docker://{registry.host}/tools/{tmp_path.name.lower()}:v1"
    run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", *options, f"oci:{tmp_path}/layout", target])
    found = _registries().open_image(Reference.parse(target.removeprefix("docker://")), AMD64)
    assert found.media_type == manifest_type
    for number, (layer, ours) in enumerate(zip(found.layers, image.layers, strict=True)):
        assert layer.media_type == layer_type
        assert layer.diff_id == ours.diff_id
        folder = tmp_path / str(number)
        folder.mkdir()
        with layer.open() as stream:
            assert unpack_layer(stream, layer.media_type, folder) == ours.diff_id


@dataclass
class Shelf:
    """A registry that gives what stands on it, by tag or digest, in any repository."""

    documents: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        if "/manifests/" in asked.path and name in self.documents:
            data, media_type = self.documents[name]
            return Reply(200, data, {"Content-Type": media_type})
        return Reply(200, self.blobs[name]) if name in self.blobs else Reply(404)

    def add(self, data: bytes, media_type: str, *tags: str) -> dict[str, object]:
        """Put a document there; returns its descriptor."""
        for name in (*tags, str(Digest.of(data))):
            self.documents[name] = (data, media_type)
        return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}

    def add_image(self, image: ImageValue, platform: Platform | None = None) -> dict[str, object]:
        """Put an image there; returns its entry in an index."""
        self.blobs[str(Digest.of(image.config))] = image.config
        for layer in image.layers:
            with layer.open() as stream:
                self.blobs[str(layer.digest)] = stream.read()
        described = {"os": platform.os, "architecture": platform.architecture} if platform else None
        entry = self.add(image.manifest, image.media_type)
        return {**entry, "platform": described} if described else entry

    def add_index(self, *entries: dict[str, object], media_type: str = INDEX_MEDIA_TYPE, tag: str) -> dict[str, object]:
        """Put an index there."""
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries)}
        return self.add(json.dumps(document).encode(), media_type, tag)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def server(shelf: Shelf) -> Iterator[SmallServer]:
    with serve(shelf) as running:
        yield running


@pytest.mark.parametrize("media_type", [INDEX_MEDIA_TYPE, DOCKER_INDEX_MEDIA_TYPE])
def test_an_index(shelf: Shelf, server: SmallServer, make_image: MakeImage, media_type: str) -> None:
    """Of an index the image for the platform is opened; attestations beside it are no images."""
    images = {platform: make_image({"a": str(platform).encode()}) for platform in (AMD64, ARM64)}
    entries = [shelf.add_image(image, platform) for platform, image in images.items()]
    attestation = {**shelf.add(b"{}", MANIFEST_MEDIA_TYPE), "platform": {"os": "unknown", "architecture": "unknown"}}
    shelf.add_index(attestation, *entries, media_type=media_type, tag="v1")
    registries, reference = _registries(), Reference(server.host, "a/b", "v1")
    for platform, image in images.items():
        assert registries.open_image(reference, platform).digest == image.digest
        assert registries.resolve(reference, platform).digest == image.digest
    assert registries.resolve(reference).media_type == media_type
    with pytest.raises(UsageError, match="windows") as caught:
        registries.resolve(reference, Platform("windows", "amd64"))
    assert "linux/amd64, linux/arm64" in caught.value.hint


def test_layers_are_fetched_when_they_are_read(shelf: Shelf, server: SmallServer, make_image: MakeImage) -> None:
    """Opening an image asks for its manifest and config alone."""
    image = make_image({"a": b"a"}, {"b": b"b"})
    shelf.add_index(shelf.add_image(image, AMD64), tag="v1")
    found = _registries().open_image(Reference(server.host, "a/b", "v1"), AMD64)
    assert [asked.path.split("/")[4] for asked in server.asked] == ["manifests", "manifests", "blobs"]
    assert _same(found, image)
    assert len(server.asked) == 5


def test_a_pinned_reference(shelf: Shelf, server: SmallServer, make_image: MakeImage) -> None:
    """With tag and digest, the digest counts; something else under it is refused."""
    image = make_image()
    shelf.add_image(image)
    pinned = Reference(server.host, "a/b", "moved", image.digest)
    assert _registries().open_image(pinned, AMD64).digest == image.digest
    shelf.documents[str(image.digest)] = (b"{}", MANIFEST_MEDIA_TYPE)
    with pytest.raises(UntrustedInputError, match="different content"):
        _registries().open_image(pinned, AMD64)


def test_indexes_without_end(shelf: Shelf, server: SmallServer) -> None:
    """Indexes inside indexes are followed a few times, no more."""
    entry = shelf.add_index(tag="v0")
    for number in range(1, 6):
        entry = shelf.add_index(entry, tag=f"v{number}")
    with pytest.raises(UntrustedInputError, match="indexes inside indexes"):
        _registries().resolve(Reference(server.host, "a/b", "v5"), AMD64)


@dataclass
class Noting:
    """A keychain that notes for which registries it was asked."""

    asked: list[str] = field(default_factory=list)

    def credentials(self, reference: Reference) -> Credentials:
        self.asked.append(reference.registry)
        return Credentials()

    def renew(self, reference: Reference, refused: Credentials) -> Credentials | None:
        del reference, refused
        return None


@pytest.mark.parametrize("prefix", ["", "http://"])
def test_a_mirror_of_docker_hub(shelf: Shelf, server: SmallServer, make_image: MakeImage, prefix: str) -> None:
    """What is pulled from Docker Hub comes from the mirror that is named; Docker Hub's credentials do not go there."""
    image = make_image()
    shelf.add_index(shelf.add_image(image, AMD64), tag="3.12")
    keychain = Noting()
    registries = Registries(keychain, retry=QUICK, environment={"SHIPML_HUB_MIRROR": f"{prefix}{server.host}/"})
    reference = Reference.parse("python:3.12")
    assert registries.open_image(reference, AMD64).digest == image.digest
    assert server.asked[0].path == "/v2/library/python/manifests/3.12"
    server.answer = lambda _: Reply(401, headers={"WWW-Authenticate": "Basic"})
    with pytest.raises(NotAllowedError):
        registries.resolve(reference)
    assert set(keychain.asked) == {server.host}


def test_pushes_go_to_docker_hub_itself() -> None:
    """The mirror is for pulls: a push to Docker Hub is one to Docker Hub."""
    registries = _registries(SHIPML_HUB_MIRROR="localhost:5000")
    hub = Reference.parse("ada/app")
    assert registries.client(hub).registry == "docker.io"
    assert registries.client_to_pull(hub).registry == "localhost:5000"
    assert registries.client_to_pull(Reference.parse("ghcr.io/ada/app")).registry == "ghcr.io"
    assert registries.client(hub) is registries.client(hub)


@pytest.mark.parametrize("mirror", ["https://", "not a host", "mirror", "host/with/path", "user:pw@host.org"])
def test_mirrors_that_are_none(mirror: str) -> None:
    """Something else than a host in SHIPML_HUB_MIRROR is an error of configuration, which shows no password."""
    with pytest.raises(ConfigurationError, match="SHIPML_HUB_MIRROR") as caught:
        _registries(SHIPML_HUB_MIRROR=mirror).resolve(Reference.parse("python"))
    assert "pw" not in caught.value.message


def test_an_image_that_is_an_artifact(shelf: Shelf, server: SmallServer) -> None:
    """What is no image is refused with what it is."""
    config = {"mediaType": "application/vnd.example.model+json", "digest": str(Digest.of(b"{}")), "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_MEDIA_TYPE, "config": config, "layers": []}
    shelf.add(json.dumps(manifest).encode(), MANIFEST_MEDIA_TYPE, "v1")
    with pytest.raises(UntrustedInputError, match="artifact"):
        _registries().open_image(Reference(server.host, "a/b", "v1"), AMD64)
    shelf.add(io.BytesIO(b"no json").getvalue(), MANIFEST_MEDIA_TYPE, "v1")
    with pytest.raises(UntrustedInputError, match="JSON"):
        _registries().resolve(Reference(server.host, "a/b", "v1"))
