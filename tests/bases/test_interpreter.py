"""A Python for compiling where the suite's own does not run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shipml.bases import own_python
from shipml.bases.own_python import host_platform
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


def test_the_python_that_runs_shipml_comes_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trusted already, wherever it lies."""
    minor = ".".join(map(str, sys.version_info[:2]))
    _program(path / "running" / "python", f"{minor}.99")
    _program(path / "bin" / f"python{minor}", f"{minor}.1")
    monkeypatch.setattr(sys, "executable", str(path / "running" / "python"))
    assert own_python.installed(minor, untrusted=path / "running").version == f"{minor}.99"


@pytest.mark.parametrize("entry", ["{project}/bin", "bin", "", ".", "{outside}/../project/bin", "{outside}/link"])
def test_programs_of_the_project_are_never_started(entry: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However PATH leads to the project (absolute, relative, by a link), its program does not run."""
    project, outside = path / "project", path / "outside"
    for program in (project / "bin" / "python3.11", project / "python3.11"):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\ntouch {path}/marker\necho 3.11.9\n")
        program.chmod(0o755)
    outside.mkdir()
    (outside / "link").symlink_to(project / "bin")
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", entry.format(project=project, outside=outside))
    with pytest.raises(UnavailableError):
        own_python.installed("3.11", untrusted=project)
    assert not (path / "marker").exists()


def test_a_link_into_the_project_is_not_followed(path: Path) -> None:
    """A program of PATH that is one of the project's does not run either."""
    _program(path / "project" / "python", "3.11.9")
    (path / "bin" / "python3.11").symlink_to(path / "project" / "python")
    with pytest.raises(UnavailableError):
        own_python.installed("3.11", untrusted=path / "project")


def test_the_project_does_not_choose_the_python(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of version managers look for settings where they are started: that is /, and their PATH is clean."""
    shim = path / "bin" / "python3.11"
    shim.write_text('#!/bin/sh\n[ "$(pwd)" = / ] && echo "3.11.9" && echo "$PATH" > "$0.path"\n')
    shim.chmod(0o755)
    (path / "project").mkdir()
    monkeypatch.chdir(path / "project")
    monkeypatch.setenv("PATH", f"{path}/project:.:{path}/bin")
    found = own_python.installed("3.11", untrusted=path / "project")
    assert found.version == "3.11.9"
    assert (path / "bin" / "python3.11.path").read_text() == f"{path}/bin\n"
