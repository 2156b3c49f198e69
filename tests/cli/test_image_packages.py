"""Debian packages on top of an image of a registry, through the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from tests.cli.conftest import Run
from tests.debian.making import Archive, Package, elf_bytes, entry, serve
from tests.package_index import serve_index
from tests.peers.python_image import push_hub_python
from tests.peers.registry import Registry, start_registry

pytestmark = [pytest.mark.slow]

Ship = Callable[..., "subprocess.CompletedProcess[str]"]
LIBRARY = "usr/lib/x86_64-linux-gnu"
HERE = Path("/lib/x86_64-linux-gnu/libexpat.so.1")
CONTENTS = f"{LIBRARY}/libexpat.so.1 libs/libexpat1\n{LIBRARY}/libold.so.1 libs/libold1\n"
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: libold1
Status: install ok installed
Architecture: amd64
Version: 1.0-1
Description: a library
 of some age

Package: libold-tools
Status: install ok installed
Architecture: amd64
Version: 1.0-1
Depends: libold1 (= 1.0-1)

Package: libgone1
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0-1
"""
PROGRAM = """\
import ctypes, native
print("expat", ctypes.CDLL("libexpat.so.1") is not None)
print("cached", b"libexpat.so.1" in open("/etc/ld.so.cache", "rb").read())
status = open("/var/lib/dpkg/status").read().split("\\n\\n")
print(*sorted(" ".join(one.split("\\n")[0].split()[1:]) for one in status))
print(open("/usr/share/libold1").read(), open("/var/lib/dpkg/info/libexpat1.list").read().split())
"""
NEEDS = {"Depends": "libc6 (>= 2.30), libold1 (>= 2.0), libgone1"}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive with a library that the image lacks, and newer versions of what it has."""
    if not HERE.exists():
        pytest.skip("this machine has no libexpat")
    key = pysequoia.Tsk.generate("Archive <archive@example.org>")
    (tmp_path / "archive.gpg").write_bytes(bytes(key.extract_certificate()))
    root = tmp_path / "mirror"
    root.mkdir()
    made = Archive(root, key)
    packages = [
        Package("libexpat1", fields=NEEDS, entries=[entry(f"./{LIBRARY}/libexpat.so.1", HERE.read_bytes())]),
        Package("libold1", "2.0-1", entries=[entry("./usr/share/libold1", b"new")]),
        Package("libold-tools", "2.0-1", fields={"Depends": "libold1 (= 2.0-1)"}),
        Package("libgone1"),
        Package("cowsay"),
    ]
    made.publish_suite(packages, contents=CONTENTS)
    return made


@pytest.fixture
def ship(shipml: Run, archive: Archive, hub: Registry, tmp_path: Path) -> Any:
    """`shipml` in a project whose wheel needs two libraries, with the archive and a Docker Hub at hand."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "requirements.txt").write_text("native==1.0\n")
    (folder / "app.py").write_text(PROGRAM)
    with serve_index() as index, serve(archive.root) as mirror:
        code = {"native_code.so": elf_bytes("", ["libexpat.so.1", "libold.so.1"])}
        index.add("native", "1.0", "py3-none-manylinux_2_17_x86_64", files=code)
        environment = {
            "UV_DEFAULT_INDEX": index.url,
            "SHIPML_DEBIAN_MIRROR": f"{mirror.url}/debian",
            "SHIPML_DEBIAN_KEYRING": str(tmp_path / "archive.gpg"),
            "SHIPML_HUB_MIRROR": hub.host,
            "DOCKER_HOST": f"unix://{tmp_path}/none",
        }
        yield lambda *words: shipml(*words, cwd=folder, env=environment)


@pytest.fixture(scope="module")
def hub() -> Iterator[Registry]:
    """A Docker Hub of its own, since its Python has more than that of other tests."""
    with start_registry() as started:
        yield started


@pytest.fixture(scope="module")
def slim(hub: Registry) -> str:
    """Hub's Python with dpkg's list of what it has."""
    old = {f"{LIBRARY}/libold.so.1": elf_bytes("libold.so.1"), "usr/share/libold1": b"old"}
    return push_hub_python(hub, "3.12", more={"var/lib/dpkg/status": STATUS.encode(), **old})


def test_what_an_image_lacks_comes_from_its_suite(ship: Ship, slim: str, tmp_path: Path) -> None:
    """A needed library and a named package come with what they need; dpkg and the loader know of them."""
    (tmp_path / "project" / "Aptfile").write_text("cowsay\nlibc6\n")
    planned = json.loads(ship("plan", "--base", slim, "--json").stdout)
    why = {one["name"]: (one["version"], one["because"]) for one in planned["base"]["extra_packages"]}
    assert {name: version for name, (version, _) in why.items()} == {
        "cowsay": "1.0-1",
        "libexpat1": "1.0-1",
        "libgone1": "1.0-1",
        "libold1": "2.0-1",
        "libold-tools": "2.0-1",
    }
    assert "Aptfile" in why["cowsay"][1]
    assert "libexpat.so.1" in why["libexpat1"][1]
    built = ship("build", "--base", slim, "-t", "over:1")
    assert built.returncode == 0, built.stderr
    ran = ship("run", "over:1")
    assert ran.stdout.splitlines() == [
        "expat True",
        "cached True",
        "cowsay libc6 libexpat1 libgone1 libold-tools libold1",
        f"new ['/.', '/{LIBRARY}/libexpat.so.1']",
    ], ran.stderr
    described = json.loads(ship("inspect", "over:1", "--json").stdout)
    assert [layer["kind"] for layer in described["layers"]].count("system") == 1
    assert ship("build", "--base", slim, "-t", "over:2", "--quiet").stdout == built.stdout


def test_a_lock_has_the_packages_on_an_image(ship: Ship, slim: str, archive: Archive) -> None:
    """Once locked, the packages stay although the archive has newer ones."""
    assert ship("plan", "--base", slim, "--lock").returncode == 0
    first = ship("plan", "--base", slim, "--locked", "--json")
    archive.publish_suite([Package("libexpat1", "3.0-1")], contents=CONTENTS)
    again = ship("plan", "--base", slim, "--locked", "--json")
    assert first.returncode == 0, first.stderr
    assert again.stdout == first.stdout
    assert "libexpat1" in {one["name"] for one in json.loads(again.stdout)["base"]["extra_packages"]}


def test_an_image_without_a_list_of_its_packages(ship: Ship, registry: Registry, tmp_path: Path) -> None:
    """A library that was found missing is a warning; a package that the project names is an error."""
    bare = f"{registry.host}/library/{push_hub_python(registry, '3.12')}"
    warned = ship("plan", "--base", bare, "--json")
    assert warned.returncode == 0, warned.stderr
    assert "libexpat.so.1" in warned.stderr
    assert json.loads(warned.stdout)["base"]["extra_packages"] == []
    (tmp_path / "project" / "shipml.toml").write_text('system-packages = ["cowsay"]\n')
    refused = ship("plan", "--base", bare, "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["kind"]) == (1, "plan")
    assert "cowsay" in json.loads(refused.stdout)["error"]["message"]


def test_apt_get_of_a_followed_dockerfile(ship: Ship, slim: str, tmp_path: Path) -> None:
    """`FROM python` with `apt-get install` gets the package, without an engine."""
    (tmp_path / "project" / "Dockerfile").write_text(
        f"FROM {slim}\nRUN apt-get update && apt-get install -y cowsay\nWORKDIR /app\nCOPY . .\n"
        'RUN pip install -r requirements.txt\nCMD ["python", "app.py"]\n'
    )
    done = ship("plan", "--json")
    assert done.returncode == 0, done.stdout
    planned = json.loads(done.stdout)
    why = {one["name"]: one["because"] for one in planned["base"]["extra_packages"]}
    assert "Dockerfile" in why["cowsay"]
    assert planned["base"]["reference"] == slim
