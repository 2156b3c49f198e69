"""A Python for compiling where the suite's own does not run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shipml.bases import own_python
from shipml.bases.interpreter import host_platform
from shipml.errors import UnavailableError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH and a home of one empty folder each."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "executable", "")
    return tmp_path


def _program(path: Path, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)


def test_python_on_path_is_taken(path: Path) -> None:
    """The program of that minor version serves, with its full version."""
    _program(path / "bin" / "python3.11", "3.11.9")
    found = own_python.installed("3.11")
    assert found.argv[0] == str(path / "bin" / "python3.11")
    assert found.version == "3.11.9"


def test_python_of_pyenv_or_uv_is_taken(path: Path) -> None:
    """What version managers have installed is found as well."""
    _program(path / "home/.pyenv/versions/3.13.5/bin/python3.13", "3.13.5")
    _program(path / "home/.local/share/uv/python/cpython-3.11.4-macos/bin/python3.11", "3.11.4")
    assert own_python.installed("3.13").version == "3.13.5"
    assert own_python.installed("3.11").version == "3.11.4"


def test_program_of_another_version_is_not_taken(path: Path) -> None:
    """A name alone does not make the version."""
    _program(path / "bin" / "python3.11", "3.12.1")
    with pytest.raises(UnavailableError) as caught:
        own_python.installed("3.11")
    assert "uv python install 3.11" in caught.value.hint


def test_only_linux_runs_the_suites_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Mac no program of Debian runs as it is."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert host_platform() is None
