"""The real command line in a home of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.peers.forked import SHIPML, run_forked

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = Path(__file__).with_name("program.py")


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose home and store are empty, and that says nothing about colours."""
    dropped = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "HOME": str(tmp_path), "SHIPML_HOME": str(tmp_path / "store"), "PYTHONWARNINGS": "error"}


Project = Callable[..., Path]


@pytest.fixture
def make_project(tmp_path: Path) -> Project:
    """Makes a project folder of files: `make_project({"app.py": "…"}, name="tiny")`."""

    def make(files: Mapping[str, str], name: str = "tiny") -> Path:
        folder = tmp_path / "projects" / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    return make


@pytest.fixture
def shipml(tmp_path: Path, clean_environment: dict[str, str]) -> Run:
    """Runs the installed `shipml` with the given words, in an empty folder unless told otherwise."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*words: str, cwd: Path = folder, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return run_forked([SHIPML, *words], folder=cwd, environment={**clean_environment, **(env or {})})

    return run


@pytest.fixture
def program(tmp_path: Path, clean_environment: dict[str, str]) -> Run:
    """Runs the command line with the further commands of `program.py`."""

    def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return run_forked([PROGRAM, *words], folder=tmp_path, environment={**clean_environment, **(env or {})})

    return run
