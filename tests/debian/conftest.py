"""Fixtures for bases: a signed archive on a mirror at loopback, and a store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pysequoia
import pytest

from shipml.http import HttpClient
from shipml.store import Store
from shipml.wheels.bytecode import Interpreter
from tests.debian.making import Archive, Server, serve


@pytest.fixture(scope="session")
def signing_key() -> pysequoia.Tsk:
    """The key of the made-up archive."""
    return pysequoia.Tsk.generate("Archive <archive@example.org>")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def http() -> HttpClient:
    """A client for downloads."""
    return HttpClient()


@pytest.fixture
def archive(tmp_path: Path, signing_key: pysequoia.Tsk) -> Archive:
    """An archive without suites."""
    return Archive(tmp_path / "mirror", signing_key)


@pytest.fixture
def mirror(
    archive: Archive, tmp_path: Path, signing_key: pysequoia.Tsk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """The archive, served, and named with its key in shipml's environment."""
    keyring = tmp_path / "archive.gpg"
    keyring.write_bytes(bytes(signing_key.extract_certificate()))
    archive.root.mkdir()
    with serve(archive.root) as server:
        monkeypatch.setenv("SHIPML_DEBIAN_MIRROR", f"{server.url}/debian")
        monkeypatch.setenv("SHIPML_DEBIAN_KEYRING", str(keyring))
        monkeypatch.delenv("SHIPML_DEBIAN_SECURITY_MIRROR", raising=False)
        yield server


@pytest.fixture
def running_python() -> Interpreter:
    """The Python that runs the tests, in the part of the suite's own."""
    return Interpreter((sys.executable, "-s", "-S", "-B"), {"PYTHONHASHSEED": "0"}, sys.version.split()[0])
