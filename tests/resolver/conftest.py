"""An index that uv is told to use, a project folder, and resolving it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml import resolver
from shipml.events import Event, Notice, StepStarted
from shipml.facts.project import Lock
from shipml.oci.manifest import Platform
from shipml.plan import PythonCandidate, python_candidates
from shipml.project import read_project
from shipml.store import Store
from tests.package_index import PackageIndex, serve_index

AMD64 = Platform("linux", "amd64")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """An index that uv is told to use, alone, with a cache of its own."""
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve_index() as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty project."""
    path = tmp_path / "project"
    path.mkdir()
    return path


class Resolving:
    """A project folder, a store and what was heard."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.store = Store(home)
        self.heard: list[Event] = []

    def __call__(
        self,
        requirements: str | None = None,
        *,
        platform: Platform = AMD64,
        python: str | None = None,
        upgrade: bool = False,
        locked: bool = False,
    ) -> tuple[PythonCandidate, Lock]:
        if requirements is not None:
            (self.folder / "requirements.txt").write_text(requirements)
        project = read_project(self.folder, self.store)
        return resolver.resolve_first(
            project,
            python_candidates(project, python),
            platform=platform,
            store=self.store,
            emit=self.heard.append,
            upgrade=upgrade,
            locked=locked,
        )

    @property
    def notices(self) -> list[str]:
        """What was said, in order."""
        return [event.message for event in self.heard if isinstance(event, Notice)]

    @property
    def runs(self) -> int:
        """How often uv was asked for a resolution."""
        return sum(isinstance(event, StepStarted) for event in self.heard)


@pytest.fixture
def resolving(folder: Path, tmp_path: Path) -> Iterator[Resolving]:
    """Resolves the project in `folder`."""
    made = Resolving(folder, tmp_path / "shipml")
    yield made
    made.store.close()


def commit(folder: Path, day: str) -> None:
    """Make the folder a git repository whose one commit is of that day."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    variables = {"GIT_COMMITTER_DATE": day, "GIT_AUTHOR_DATE": day, "PATH": "/usr/bin:/bin"}
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", *who, *words], cwd=folder, env=variables, check=True)
