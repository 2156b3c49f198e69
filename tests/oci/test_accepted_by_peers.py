"""Layouts and archives in the hands of the programs they are for: Docker Engines, skopeo and podman."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.oci.archive import write_docker_archive
from shipml.oci.image import ImageValue
from shipml.oci.layout import read_layout, write_layout
from shipml.oci.reference import Reference
from tests.peers.engine import Engine

MakeImage = Callable[..., ImageValue]
pytestmark = [pytest.mark.engine, pytest.mark.slow]
NAME = Reference.parse("localhost:5000/iris:peers")


@pytest.fixture
def image(make_image: MakeImage) -> ImageValue:
    """Two layers, the upper replacing a file of the lower."""
    return make_image({"etc/hostname": b"", "app/app.py": b"old"}, {"app/app.py": b"print(1)\n", "x" * 120: b"long"})


def _program(name: str, *arguments: str | Path) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([name, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_engine_loads_the_archive(docker_engine: Engine, image: ImageValue, tmp_path: Path) -> None:
    """`docker load` takes it on every engine and store, under its name, with our layers and files."""
    write_docker_archive(image, tmp_path / "iris.tar", [NAME])
    docker_engine.docker("load", "-i", str(tmp_path / "iris.tar"))
    loaded = json.loads(docker_engine.docker("image", "inspect", str(NAME)).stdout)[0]
    assert loaded["RootFS"]["Layers"] == [str(layer.diff_id) for layer in image.layers]
    assert loaded["Config"]["Cmd"] == ["/bin/true"]
    container = docker_engine.docker("create", "--network", "none", str(NAME)).stdout.strip()
    docker_engine.docker("cp", f"{container}:/app/app.py", str(tmp_path / "app.py"))
    docker_engine.docker("rm", container)
    assert (tmp_path / "app.py").read_text() == "print(1)\n"


def test_an_engine_needs_no_layer_that_it_has(docker_engine: Engine, make_image: MakeImage, tmp_path: Path) -> None:
    """After one changed file, an archive without the lower layer loads on every engine and store."""
    before, after = (make_image({"lib/large": b"x" * 9999}, {"app/app.py": code}) for code in (b"old", b"new"))
    write_docker_archive(before, tmp_path / "before.tar", [NAME])
    docker_engine.docker("load", "-i", str(tmp_path / "before.tar"))
    write_docker_archive(after, tmp_path / "after.tar", [NAME], without={after.layers[0].digest})
    docker_engine.docker("load", "-i", str(tmp_path / "after.tar"))
    loaded = json.loads(docker_engine.docker("image", "inspect", str(NAME)).stdout)[0]
    assert loaded["RootFS"]["Layers"] == [str(layer.diff_id) for layer in after.layers]


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_skopeo_reads_what_is_written(image: ImageValue, tmp_path: Path, transport: str) -> None:
    """As layout, as OCI archive and as docker archive: the same layers and the same platform."""
    if transport == "oci":
        write_layout(image, tmp_path / "out", [NAME])
        source = f"oci:{tmp_path / 'out'}:peers"
    else:
        write_docker_archive(image, tmp_path / "out.tar", [NAME])
        source = f"{transport}:{tmp_path / 'out.tar'}"
    seen = json.loads(_program("skopeo", "inspect", source))
    assert seen["Architecture"] == "amd64"
    config = json.loads(_program("skopeo", "inspect", "--config", source))
    assert config["rootfs"]["diff_ids"] == [str(layer.diff_id) for layer in image.layers]
    if transport != "docker-archive":  # skopeo makes a manifest of its own for those
        assert seen["Digest"] == str(image.digest)


def test_a_layout_that_skopeo_wrote_is_read(image: ImageValue, tmp_path: Path) -> None:
    """Skopeo checks every digest when it copies, and what it writes reads back as the same image."""
    write_layout(image, tmp_path / "out", [NAME])
    _program("skopeo", "copy", "--preserve-digests", f"oci:{tmp_path / 'out'}:peers", f"oci:{tmp_path / 'copy'}:x")
    assert read_layout(tmp_path / "copy", "x").digest == image.digest


def test_podman_loads_the_archive(image: ImageValue, tmp_path: Path) -> None:
    """Podman takes the archive and knows the image under its name."""
    write_docker_archive(image, tmp_path / "iris.tar", [NAME])
    with tempfile.TemporaryDirectory(prefix="podman-") as short:  # podman refuses a long path for what runs
        places = ("--root", tmp_path / "root", "--runroot", short, "--storage-driver", "vfs")
        _program("podman", *places, "load", "-i", tmp_path / "iris.tar")
        loaded = json.loads(_program("podman", *places, "image", "inspect", str(NAME)))[0]
    assert loaded["RootFS"]["Layers"] == [str(layer.diff_id) for layer in image.layers]
