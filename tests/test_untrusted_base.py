"""No program of a base image runs on the host: its Python compiles in the sandbox, or the image has no bytecode."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.oci.layer_writer import LayerWriter
from tests.package_index import PackageIndex, serve_index
from tests.peers.python_image import push_docker_image, push_hub_python
from tests.peers.registry import Registry
from tests.runtimes.images import make_layer

pytestmark = [pytest.mark.slow]

BUSYBOX = Path("/bin/busybox")
NO_NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
PYC_OF_DEMO = "opt/venv/lib/python3.12/site-packages/__pycache__/demo.cpython-312.pyc"
HOSTILE = """#!/bin/busybox sh
[ -e {outside} ] && found=host-files
echo ran > {outside}/marker
seen="user $(busybox id -u) net $(busybox grep -c : /proc/net/dev) processes $(echo /proc/[0-9]*) $found \
privileges $(busybox grep -c 'NoNewPrivs:.1' /proc/self/status) wrote $(echo x 2>/dev/null > /tmp/x && echo yes) \
variables $SECRET_OF_HOST"
printf '\\013\\000\\000\\000cpython-312'
printf "\\\\$(printf %03o ${{#seen}})\\000\\000\\000%s" "$seen"
exec busybox cat > /dev/null
"""
"""Answers as a compiler does; its bytecode is what it sees of the machine."""


@pytest.fixture(scope="module")
def index() -> Iterator[PackageIndex]:
    """A package index with one package."""
    with serve_index() as started:
        started.add("demo", "1.0")
        yield started


class Machine:
    """A user's machine: its home, its environment, and a project."""

    def __init__(self, folder: Path, index: PackageIndex, registry: Registry) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "requirements.txt").write_text("demo==1.0\n")
        (self.project / "app.py").write_text("import demo\nprint(demo.version)\n")
        (folder / "bin").mkdir()
        self.folder = folder
        self.environment = {
            "PATH": f"{folder}/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "SHIPML_HUB_MIRROR": registry.host,
            "SHIPML_DEBIAN_MIRROR": "http://127.0.0.1:9",
            "UV_DEFAULT_INDEX": index.url,
            "DOCKER_HOST": f"unix://{folder}/none",
            "SECRET_OF_HOST": "shown",
        }

    def build(self, base: str, *, home: str = "home", confines: bool = True) -> Built:
        """`shipml build` on that base; without `confines`, where the kernel makes no namespaces for it."""
        archive = self.folder / "image.tar"
        options = ["build", str(self.project), "--base", base, "--no-check", "--no-load", "--json"]
        command = [sys.executable, "-m", "shipml", *options, "-o", f"docker-archive:{archive}"]
        if not confines:
            script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
            command = [*NO_NAMESPACES, script, "sh", *command]
        environment = {**self.environment, "SHIPML_HOME": str(self.folder / home)}
        done = subprocess.run(
            command,
            cwd=self.project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Built(json.loads(done.stdout)["digest"], done.stderr, _files(archive))


class Built:
    """What a build made and said."""

    def __init__(self, digest: str, said: str, files: dict[str, bytes]) -> None:
        self.digest = digest
        self.said = said
        self.files = files

    @property
    def bytecode(self) -> bytes | None:
        """Of the package's module."""
        return self.files.get(PYC_OF_DEMO)


def _files(archive: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(archive) as outer:
        (entry,) = json.load(outer.extractfile("manifest.json") or io.BytesIO())
        for name in entry["Layers"]:
            layer = outer.extractfile(name)
            assert layer is not None
            with tarfile.open(fileobj=layer) as inner:
                for member in inner:
                    if member.name == PYC_OF_DEMO and (file := inner.extractfile(member)):
                        found[member.name] = file.read()
    return found


@pytest.fixture
def machine(tmp_path: Path, index: PackageIndex, registry: Registry) -> Machine:
    """A machine without a Python 3.12."""
    return Machine(tmp_path, index, registry)


@pytest.fixture(scope="module")
def hub_python(registry: Registry) -> str:
    """A sound image with a Python that no suite of Debian has."""
    return push_hub_python(registry, "3.12")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the host that everybody may write to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def hostile(registry: Registry, outside: Path) -> str:
    """An image whose Python and loader are scripts that look around, and leave a mark outside where they can."""
    script = HOSTILE.format(outside=outside).encode()

    def fill(writer: LayerWriter) -> None:
        writer.directory("tmp", mode=0o1777)
        writer.file("bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        writer.symlink("bin/sh", "busybox")
        for name in ("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1", "usr/local/bin/python3.12"):
            writer.file(name, script, mode=0o755)

    layer = make_layer(fill)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHON_VERSION=3.12.1"]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id)]},
        "history": [{"created_by": "# debian.sh --arch 'amd64' out/ 'bookworm' '@1762202650'"}],
    }
    data = layer.open().read()
    assert gzip.decompress(data)
    push_docker_image(registry, "evil/base", "bookworm", config, [data])
    return f"{registry.host}/evil/base:bookworm"


def test_programs_of_a_base_run_in_the_sandbox_only(machine: Machine, hostile: str, outside: Path) -> None:
    """A hostile Python sees no host, no network but the loopback, no other process, and may write nothing."""
    seen = (machine.build(hostile).bytecode or b"").decode()
    assert seen.startswith("user 65532 net 1 processes /proc/1 /proc/"), seen
    assert len(seen.partition(" privileges")[0].split("/proc/")) <= 4
    assert "host-files" not in seen
    assert "privileges 1 wrote  variables" in f"{seen} "
    assert "shown" not in seen
    assert list(outside.iterdir()) == []


def test_a_hostile_base_leaves_nothing_to_others(machine: Machine, hostile: str, hub_python: str) -> None:
    """What its Python calls bytecode is not taken for a sound base of the same version."""
    machine.build(hostile)
    bytecode = machine.build(hub_python).bytecode
    assert bytecode is not None
    assert bytecode[4:8] == b"\1\0\0\0"
    assert b"user 65532" not in bytecode


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to forbid namespaces")
def test_without_a_sandbox_there_is_no_bytecode(machine: Machine, hostile: str, outside: Path) -> None:
    """Where nothing can be confined and no own Python fits, the image has no bytecode, which is said."""
    built = machine.build(hostile, confines=False)
    assert built.bytecode is None
    assert "uv python install 3.12" in built.said
    assert list(outside.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to forbid namespaces")
def test_the_same_version_makes_the_same_image_without_a_sandbox(machine: Machine, hub_python: str) -> None:
    """The user's own Python of exactly the base's version gives the digest that its own, confined, gives."""
    confined = machine.build(hub_python)
    (program,) = (Path.home() / ".pyenv" / "versions").glob("3.12.*/bin/python3.12")
    (machine.folder / "bin" / "python3.12").symlink_to(program)
    own = machine.build(hub_python, home="other home", confines=False)
    assert own.bytecode == confined.bytecode is not None
    assert own.digest == confined.digest
