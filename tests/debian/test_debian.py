"""The true mirror: bases of Debian's suites, and their Python run from the unpacked layers."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipml.bases.interpreter import interpreter_of
from shipml.bases.layers import base_layers
from shipml.debian.pin import pin_base
from shipml.events import ignore
from shipml.facts.plan import BasePin
from shipml.facts.pythons import Suite, suite_named
from shipml.http import HttpClient
from shipml.oci.image import LayerValue
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store import Store

pytestmark = [pytest.mark.network, pytest.mark.slow]

_MODULES = "ssl sqlite3 zlib lzma bz2 ctypes hashlib zoneinfo multiprocessing readline curses uuid decimal asyncio venv"
_PROGRAM = f"""
import ctypes.util, importlib.util, json, os, pwd, ssl, sys, tempfile, zoneinfo
for name in {_MODULES!r}.split():
    importlib.import_module(name)
print(json.dumps({{
    "version": ".".join(map(str, sys.version_info[:3])),
    "libraries": [ctypes.util.find_library(name) for name in ("c", "stdc++", "gomp", "none-such")],
    "authorities": len(ssl.create_default_context().get_ca_certs()),
    "zone": zoneinfo.ZoneInfo("Europe/Berlin").key,
    "user": pwd.getpwuid(65532).pw_dir,
    "encoding": sys.getfilesystemencoding(),
    "cached": os.path.exists(importlib.util.cache_from_source(ssl.__file__)),
}}))
"""


@pytest.fixture(scope="module")
def store(shared_home: Path) -> Iterator[Store]:
    """One store for all: suites' lists are fetched, and bases made, once."""
    opened = Store(shared_home)
    yield opened
    opened.close()


Base = Callable[..., tuple[BasePin, list[LayerValue]]]


@pytest.fixture(scope="module")
def base(store: Store) -> Base:
    """Pins a suite and makes its layers."""

    def make(name: str, architecture: str, *extra: str) -> tuple[BasePin, list[LayerValue]]:
        http = HttpClient()
        target = Platform("linux", architecture)
        pin = pin_base(
            _suite(name), target, extra=dict.fromkeys(extra, "asked for"), session=Session(store, http, ignore)
        )
        return pin, base_layers(pin, session=Session(store, http, ignore))

    return make


def _suite(name: str) -> Suite:
    suite = suite_named(name)
    assert suite is not None
    return suite


def _unpack(layers: list[LayerValue], folder: Path) -> None:
    for layer in layers:
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
            archive.extractall(folder, filter="fully_trusted")  # noqa: S202  (made here)


def _run(root: Path, *command: str) -> str:
    """The output of a command in `root`, which gets this machine's /dev."""
    unshare = shutil.which("unshare")
    if unshare is None or sys.platform != "linux":
        pytest.skip("needs unshare(1) of Linux")
    mount = 'mount --rbind /dev "$0/dev" && exec unshare --root="$0" --wd=/ "$@"'
    result = subprocess.run(
        [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(root), *command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs programs for amd64")
@pytest.mark.parametrize("name", ["bullseye", "bookworm", "trixie"])
def test_python_of_the_base_works(base: Base, tmp_path: Path, name: str) -> None:
    """In the unpacked layer Python runs, with TLS, SQLite, libraries, time zones, users and compiled modules."""
    pin, layers = base(name, "amd64")
    _unpack(layers, tmp_path)
    found = json.loads(_run(tmp_path, "/usr/bin/python3", "-c", _PROGRAM))
    assert found.pop("authorities") > 100
    assert found == {
        "version": pin.python,
        "libraries": ["libc.so.6", "libstdc++.so.6", "libgomp.so.1", None],
        "zone": "Europe/Berlin",
        "user": "/home/nonroot",
        "encoding": "utf-8",
        "cached": True,
    }


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs programs for amd64")
def test_loader_cache_is_what_ldconfig_would_write(base: Base, tmp_path: Path) -> None:
    """The suite's own ldconfig finds the same libraries at the same places."""
    _unpack(base("bookworm", "amd64")[1], tmp_path)
    ours = _run(tmp_path, "/sbin/ldconfig", "-p")
    _run(tmp_path, "/sbin/ldconfig", "-X")
    theirs = _run(tmp_path, "/sbin/ldconfig", "-p")
    assert [line for line in ours.splitlines() if "=>" in line] == [
        line for line in theirs.splitlines() if "=>" in line
    ]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs programs for amd64")
def test_extra_packages_are_found_by_the_loader(base: Base, tmp_path: Path) -> None:
    """A library of a second layer is in the loader's cache, and loads with all that it needs."""
    pin, layers = base("bookworm", "amd64", "libopenblas0-pthread")
    _unpack(layers, tmp_path)
    assert "libgfortran5" in {item.name for item in pin.extra_packages}
    program = "import ctypes; print(ctypes.CDLL('libblas.so.3').cblas_ddot is not None)"
    assert _run(tmp_path, "/usr/bin/python3", "-c", program) == "True\n"


def test_arm64_is_assembled_anywhere(base: Base, tmp_path: Path) -> None:
    """A base for another CPU has that CPU's programs, and bytecode made by this one's Python."""
    pin, layers = base("trixie", "arm64")
    _unpack(layers, tmp_path)
    assert {item.architecture for item in pin.packages} == {"arm64", "all"}
    program = (tmp_path / "usr" / "bin" / "python3.13").read_bytes()
    assert program[18:20] == b"\xb7\x00", "e_machine of AArch64"
    assert (tmp_path / "lib" / "ld-linux-aarch64.so.1").exists()
    assert (tmp_path / "usr/lib/python3.13/__pycache__/ssl.cpython-313.pyc").is_file()
    assert b"/lib/aarch64-linux-gnu/libgomp.so.1\0" in (tmp_path / "etc" / "ld.so.cache").read_bytes()


def test_a_second_store_makes_the_same_bytes(base: Base, tmp_path: Path) -> None:
    """The layer of a suite is the same when another machine makes it from nothing."""
    pin, layers = base("trixie", "amd64")
    other = Store(tmp_path)
    again = base_layers(pin, session=Session(other, HttpClient(), ignore))
    other.close()
    assert again == layers


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a Python on PATH serves")
def test_interpreter_runs_without_root_or_container(store: Store) -> None:
    """The suite's own Python runs through its own loader, with its own standard library."""
    found = interpreter_of(_suite("bookworm"), session=Session(store, HttpClient(), ignore))
    result = subprocess.run(
        [*found.argv, "-c", "import json, sys; print(sys.version.split()[0], json.__file__)"],
        env=dict(found.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    version, path = result.stdout.split()
    assert version == found.version
    assert Path(path).is_relative_to(store.home / "roots")
