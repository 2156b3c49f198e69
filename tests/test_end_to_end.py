"""What shipml builds, in the hands of programs that know nothing of shipml: engines, registries, other readers.

Every test runs twice: with a small image that uses each way of writing a layer, and with the example project. The small
one goes to every engine in every way; the example, with 110 MB, to two of them each way.
"""

from __future__ import annotations

import functools
import io
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipml.oci.archive import write_docker_archive
from shipml.oci.image import LayerValue, assemble_image
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.layout import write_layout
from shipml.oci.manifest import Platform, canonical_json
from shipml.oci.reference import Reference
from tests.peers.engine import Engine, run
from tests.peers.need import need
from tests.peers.podman import Podman
from tests.peers.registry import Registry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

EXAMPLE = Path(__file__).parent.parent / "example_project"
BUSYBOX = Path("/bin/busybox")
ACCURACY = re.compile(r"^accuracy: (0\.9\d*|1\.0*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Built:
    """An image in both forms that `--output` writes."""

    name: str
    digest: str
    diff_ids: list[str]
    layout: Path
    archive: Path


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, shared_home: Path) -> Callable[[str], Built]:
    """Builds an image by its name, once."""

    @functools.cache
    def make(name: str) -> Built:
        folder = tmp_path_factory.mktemp(name)
        return small_image(folder) if name == "small" else example_image(folder, shared_home)

    return make


@pytest.fixture(params=["small", pytest.param("example", marks=pytest.mark.network)])
def built(request: pytest.FixtureRequest, build: Callable[[str], Built]) -> Built:
    """An image made by shipml that prints an accuracy."""
    return build(request.param)


def small_image(folder: Path) -> Built:
    """A program without libraries, in layers that hold every kind of entry the layer writer knows."""
    need("busybox")
    program = BUSYBOX.read_bytes()
    compressed = zlib.compressobj(wbits=-15)
    stream = compressed.compress(program) + compressed.flush()

    def programs(layer: LayerWriter) -> None:
        layer.directory("bin")
        layer.spliced_file("bin/busybox", [stream], size_bytes=len(program), crc32=zlib.crc32(program), mode=0o755)
        layer.hardlink("bin/sh", "bin/busybox")
        layer.symlink("bin/cat", "busybox")

    def application(layer: LayerWriter) -> None:
        layer.directory("app", owner=65532)
        layer.stored_file("app/weights.bin", io.BytesIO(bytes(1 << 20)), 1 << 20)
        layer.file("app/measure", b"accuracy: 0.9667\n")
        layer.file("app/" + "long/" * 40 + "näme", b"")

    layers = [layer_of(programs), layer_of(application)]
    config = {
        "architecture": Platform.of_this_machine().architecture,
        "os": "linux",
        "config": {"Cmd": ["/bin/cat", "/app/measure"], "User": "65532", "WorkingDir": "/app"},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
    }
    image = assemble_image(canonical_json(config), layers)
    reference = Reference.parse("small:1")
    write_layout(image, folder / "oci", [reference])
    write_docker_archive(image, folder / "image.tar", [reference])
    diff_ids = [str(layer.diff_id) for layer in layers]
    return Built("small:1", str(image.digest), diff_ids, folder / "oci", folder / "image.tar")


def layer_of(fill: Callable[[LayerWriter], None]) -> LayerValue:
    """The layer that `fill` writes."""
    out = io.BytesIO()
    with LayerWriter(out) as layer:
        fill(layer)
        written = layer.close()
    return LayerValue(written.digest, written.diff_id, written.size_bytes, lambda: io.BytesIO(out.getvalue()))


def example_image(folder: Path, home: Path) -> Built:
    """The example project, built by the command that a user types; the README's session does so in an empty home."""
    layout, archive = folder / "oci", folder / "image.tar"
    made = run(
        [sys.executable, "-m", "shipml", "build", str(EXAMPLE), "-t", "iris:1", "--json",
         "--output", f"oci:{layout}", "--output", f"docker-archive:{archive}"],
        timeout_seconds=280,
        SHIPML_HOME=str(home),
    )  # fmt: skip
    report = json.loads(made.stdout)
    return Built("iris:1", report["digest"], [layer["diff_id"] for layer in report["layers"]], layout, archive)


def inspect(*arguments: str) -> dict[str, Any]:
    """What `skopeo inspect` says of an image."""
    document: dict[str, Any] = json.loads(run(["skopeo", "inspect", *arguments]).stdout)
    return document


def test_skopeo_reads_the_layout_and_the_archive(built: Built) -> None:
    """Skopeo finds the same digest, platform and layers in the layout, and the same config in the archive."""
    need("skopeo")
    read = inspect(f"oci:{built.layout}")
    assert read["Digest"] == built.digest
    assert read["Os"] == "linux"
    assert len(read["Layers"]) == len(built.diff_ids)
    for source in (f"oci:{built.layout}", f"docker-archive:{built.archive}"):
        assert inspect("--config", source)["rootfs"]["diff_ids"] == built.diff_ids


def test_skopeo_copies_every_blob(built: Built, tmp_path: Path) -> None:
    """Skopeo checks digest and diff id of every layer on the way to a folder, from layout and archive alike."""
    need("skopeo")
    for source in (f"oci:{built.layout}", f"docker-archive:{built.archive}"):
        run(["skopeo", "copy", "--quiet", source, f"dir:{tmp_path / source.partition(':')[0]}"])


def on_engines(*with_the_example: str) -> pytest.MarkDecorator:
    """The small image on every engine, and the example on these."""
    small = [("small", engine) for engine in ("docker_20", "docker_28_overlay2", "docker_28_containerd")]
    example = [pytest.param("example", engine, marks=pytest.mark.network) for engine in with_the_example]
    return pytest.mark.parametrize(("built", "docker_engine"), [*small, *example], indirect=True)


@on_engines("docker_20", "docker_28_containerd")
def test_a_loaded_archive_runs(built: Built, docker_engine: Engine) -> None:
    """`docker load` takes the archive, under its name and with our diff ids, and `docker run` prints the accuracy.

    A hardened container (read-only, no capabilities, another user) prints it just as well.
    """
    docker_engine.docker("load", "--quiet", "--input", str(built.archive))
    inspected = json.loads(docker_engine.docker("image", "inspect", built.name).stdout)[0]
    assert inspected["RootFS"]["Layers"] == built.diff_ids
    assert inspected["Config"]["User"] == "65532"
    hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "12345:12345"]
    for options in ([], hardened):
        printed = docker_engine.docker("run", "--rm", "--network", "none", *options, built.name).stdout
        assert ACCURACY.search(printed), printed


@on_engines("docker_28_overlay2", "docker_28_containerd")
def test_a_pushed_image_keeps_its_digest_and_runs(built: Built, docker_engine: Engine, registry: Registry) -> None:
    """Copied to a registry by skopeo, the image is pulled by the digest that shipml reported, and runs."""
    repository = f"{registry.host}/end-to-end/{built.name.partition(':')[0]}"
    run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{built.layout}", f"docker://{repository}:1"])
    pinned = f"{repository}@{built.digest}"
    docker_engine.docker("pull", "--quiet", pinned)
    printed = docker_engine.docker("run", "--rm", "--network", "none", pinned).stdout
    assert ACCURACY.search(printed), printed


def test_podman_runs_the_layout(built: Built, podman: Podman) -> None:
    """Podman pulls the OCI layout and runs it."""
    identity = podman.podman("pull", "--quiet", f"oci:{built.layout}").stdout.strip()
    assert ACCURACY.search(podman.run_image(identity).stdout)


def test_podman_loads_the_archive(built: Built, podman: Podman) -> None:
    """`podman load` takes the same archive as `docker load`, under the same name."""
    printed = podman.podman("load", "--quiet", "--input", str(built.archive)).stdout
    loaded = printed.removeprefix("Loaded image: ").strip()
    assert loaded.endswith(f"/{built.name}")
    assert ACCURACY.search(podman.run_image(loaded).stdout)


def test_buildah_builds_on_the_image(built: Built, podman: Podman) -> None:
    """Buildah takes the layout as a base and runs the image's own command in it."""
    container = podman.buildah("from", "--quiet", f"oci:{built.layout}").stdout.strip()
    inspected = json.loads(podman.buildah("inspect", container).stdout)
    command = inspected["OCIv1"]["config"]["Cmd"]
    printed = podman.buildah("run", "--isolation", "chroot", container, "--", *command).stdout
    assert ACCURACY.search(printed), printed


def test_layers_are_valid_for_other_gzip_and_tar_readers(built: Built) -> None:
    """`gzip --test` and `tar --list` read every layer of many members to the end."""
    index = json.loads((built.layout / "index.json").read_bytes())
    manifest = json.loads(blob(built.layout, index["manifests"][0]["digest"]).read_bytes())
    for layer in manifest["layers"]:
        path = blob(built.layout, layer["digest"])
        with path.open("rb") as stream:
            subprocess.run(["gzip", "--test"], stdin=stream, check=True)
        run(["tar", "--list", "--gzip", "--file", str(path)])


def blob(layout: Path, digest: str) -> Path:
    """The file of a blob in an OCI layout."""
    return layout / "blobs" / "sha256" / digest.partition(":")[2]
