"""A build with nothing changed is answered without planning, says what the whole way says, and never too often."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from shipml.api import Shipml
from shipml.events import Event, Notice, StepFinished
from shipml.facts.request import PlanRequest
from shipml.oci.digest import Digest
from shipml.report import BuildReport
from shipml.store import Store
from shipml.unchanged import tool
from shipml.unchanged.answer import answer
from shipml.unchanged.known import KNOWN, Asked
from shipml.unchanged.memory import remembering
from tests.cli.conftest import clean_environment
from tests.peers.forked import SHIPML, run_forked

__all__ = ["clean_environment"]

pytestmark = [pytest.mark.network, pytest.mark.slow]

_SETTLED_SECONDS = 0.15


@dataclass(slots=True)
class Desk:
    """A project, and who builds it."""

    folder: Path
    heard: list[Event] = field(default_factory=list)

    @property
    def asked(self) -> Asked:
        request = PlanRequest(self.folder)
        return Asked(request, (), "auto", load=False, check=True, trust_last=True, more=False)

    def answer(self) -> BuildReport | None:
        self.heard.clear()
        return answer(self.asked, self.heard.append)

    def build(self) -> BuildReport:
        """The whole way."""
        time.sleep(_SETTLED_SECONDS)
        self.heard.clear()
        with remembering(self.asked, self.heard.append) as memory, Shipml(emit=memory.emit) as session:
            report = session.build(self.asked.request, load=False)
            memory.keep(session.store, report)
        return report

    def said(self) -> list[str]:
        """What a user was told, without times."""
        shown = [one.detail for one in self.heard if isinstance(one, StepFinished)]
        return [*(one.message for one in self.heard if isinstance(one, Notice)), *shown]


@pytest.fixture
def desk(tmp_path: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A project that was built twice, the second time with nothing to do."""
    monkeypatch.setenv("SHIPML_HOME", str(shared_home))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setattr(tool, "_IDLE", tool._IDLE | {"PYTEST_CURRENT_TEST"})  # set anew between set-up and test
    folder = tmp_path / "above" / "churn"
    (folder / "inner").mkdir(parents=True)
    (folder / "requirements.txt").write_text("six==1.17.0\n")
    (folder / "app.py").write_text("import six\nprint('accuracy: 1')\n")
    (folder / "inner" / "data.csv").write_text("1,2\n")
    made = Desk(folder)
    made.build()
    made.build()
    return made


def test_the_answer_is_what_the_whole_way_says(desk: Desk) -> None:
    """Report, notices and steps are those of a build that does it all, and the image has its names."""
    whole, said = desk.build(), desk.said()
    found = desk.answer()
    assert found is not None
    assert replace(found, elapsed_seconds=0.0) == replace(whole, elapsed_seconds=0.0)
    assert desk.said() == said
    assert desk.answer() is not None
    assert all(layer.reused for layer in found.layers)


def _same_size_and_time(desk: Desk) -> None:
    path = desk.folder / "app.py"
    found = path.stat()
    path.write_text(path.read_text().replace("1'", "2'"))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _exchanged(desk: Desk) -> None:
    other = desk.folder.with_name("other")
    other.write_text((desk.folder / "inner" / "data.csv").read_text().replace("1", "3"))
    other.rename(desk.folder / "inner" / "data.csv")


def _without_a_layer(desk: Desk) -> None:
    _lose(desk, lambda report: report.layers[-1].digest)


def _without_its_manifest(desk: Desk) -> None:
    _lose(desk, lambda report: report.digest)


def _lose(desk: Desk, which: Callable[[BuildReport], Digest]) -> None:
    found = desk.answer()
    assert found is not None
    store = Store(Path(os.environ["SHIPML_HOME"]))
    store.blob_path(which(found)).unlink()
    store.close()


def _without_its_name(desk: Desk) -> None:
    with Shipml() as session:
        session.remove("churn")


def _named_by_another(desk: Desk) -> None:
    with Shipml() as session:
        session.store.tag("churn:latest", session.inspect(desk.folder).digest, source="/elsewhere")


def _known_otherwise(desk: Desk) -> None:
    """Another build of the machine has learned something about the same requirements."""
    store = Store(Path(os.environ["SHIPML_HOME"]))
    known = KNOWN.last(store, desk.asked.key)
    store.close()
    assert known is not None
    fact = Path(next(path for path in known.files if "/facts/resolution/" in path))
    fact.write_text(json.dumps(json.loads(fact.read_text()) | {"another": 1}))


CHANGES: dict[str, Callable[[Desk], object]] = {
    "a file": lambda desk: (desk.folder / "app.py").write_text("print('accuracy: 0.5')\n"),
    "a file, its size and time kept": _same_size_and_time,
    "a file that another one replaces": _exchanged,
    "a file's mode": lambda desk: (desk.folder / "app.py").chmod(0o755),
    "a new file": lambda desk: (desk.folder / "inner" / "more.csv").write_text(""),
    "a file is gone": lambda desk: (desk.folder / "inner" / "data.csv").unlink(),
    "a new folder": lambda desk: (desk.folder / "inner" / "deep").mkdir(),
    "requirements": lambda desk: (desk.folder / "requirements.txt").write_text("six==1.16.0\n"),
    "a lock file": lambda desk: (desk.folder / "uv.lock").write_text("version = 1\n"),
    "settings": lambda desk: (desk.folder / "shipml.toml").write_text("name = 'other'\n"),
    "what is ignored": lambda desk: (desk.folder / ".dockerignore").write_text("inner\n"),
    "a Dockerfile": lambda desk: (desk.folder / "Dockerfile").write_text("FROM scratch\n"),
    "settings of uv above": lambda desk: (desk.folder.parent / "uv.toml").write_text(""),
    "a repository above": lambda desk: (desk.folder.parent / ".git").mkdir(),
    "a layer is gone": _without_a_layer,
    "the manifest is gone": _without_its_manifest,
    "the name is gone": _without_its_name,
    "the name is another folder's": _named_by_another,
    "a fact of the store": _known_otherwise,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_goes_the_whole_way(desk: Desk, change: str) -> None:
    """Whatever a build depends on: once it is another, nothing is answered."""
    assert desk.answer() is not None
    CHANGES[change](desk)
    assert desk.answer() is None


@pytest.mark.parametrize("variable", ["SOURCE_DATE_EPOCH", "UV_DEFAULT_INDEX", "SHIPML_CONFIG", "HOME", "SOME_TOKEN"])
def test_another_environment_goes_the_whole_way(
    desk: Desk, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which variables decide something is not guessed."""
    monkeypatch.setenv(variable, str(tmp_path))
    assert desk.answer() is None


def test_other_words_and_another_day_go_the_whole_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is for the same command on the same day."""
    for other in (
        replace(desk.asked, check=False),
        replace(desk.asked, names=("churn:2",)),
        replace(desk.asked, request=replace(desk.asked.request, python="3.12")),
        replace(desk.asked, request=replace(desk.asked.request, upgrade=True)),
        replace(desk.asked, more=True),
    ):
        assert answer(other, desk.heard.append) is None
    monkeypatch.setattr(tool, "_today", lambda: "2000-01-01")
    assert desk.answer() is None


def test_a_build_that_did_something_is_not_remembered(desk: Desk) -> None:
    """The build after a change makes a layer; only the one after that has nothing to do."""
    (desk.folder / "app.py").write_text("print('accuracy: 0.5')\n")
    for is_answered in (False, True):
        desk.build()
        assert (desk.answer() is not None) == is_answered


def test_a_file_that_changes_meanwhile_is_not_remembered(desk: Desk) -> None:
    """Neither one that is written during the build, nor one that was written in the moment before."""
    (desk.folder / "notes.md").write_text("x")
    desk.build()
    with remembering(desk.asked, desk.heard.append) as memory, Shipml(emit=memory.emit) as session:
        report = session.build(desk.asked.request, load=False)
        (desk.folder / "app.py").write_text("print('accuracy: 0.5')\n")
        memory.keep(session.store, report)
    assert desk.answer() is None


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The paths whose existence or times are asked for in this process."""
    found: set[str] = set()
    for name in ("stat", "lstat", "access", "readlink"):
        real = getattr(os, name)

        def ask(path: object, *arguments: object, _real: Callable[..., object] = real, **options: object) -> object:
            if isinstance(path, (str, bytes, os.PathLike)):
                found.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100
            return _real(path, *arguments, **options)

        monkeypatch.setattr(os, name, ask)
    yield found
    monkeypatch.undo()


def test_what_a_build_asks_the_file_system_is_remembered(desk: Desk, probed: set[str], shared_home: Path) -> None:
    """What is only looked for, and so seen by no audit event, lies in a folder that is noted or is noted itself."""
    desk.build()
    asked = set(probed)
    store = Store(shared_home)
    known = KNOWN.last(store, desk.asked.key)
    store.close()
    assert known is not None
    above = {str(path) for path in (*desk.folder.parents, shared_home, *shared_home.parents, Path.home())}
    noted = {*known.files, *known.folders, *above}
    absent = tuple(f"{path}/" for path, words in known.files.items() if not words)
    code = {
        str(Path(os.__file__).parent),
        str(Path(__file__).parents[2] / "shipml"),
        str(Path(pytest.__file__).parents[1]),
    }
    missed = {
        path
        for path in asked - noted
        if not _is_noted(Path(path), known.folders)
        and not path.startswith(absent)
        and not any(path == folder or path.startswith(f"{folder}/") for folder in (*code, str(shared_home)))
    }
    assert not missed


def _is_noted(path: Path, folders: dict[str, str]) -> bool:
    """Whether its appearance or its end is seen: a listed folder knows its entries, and when theirs changed."""
    there = path if path.exists() else next(one for one in path.parents if one.exists())
    return any(str(one) in folders for one in (path.parent, there, there.parent))


def test_the_command_line_says_the_same(desk: Desk, clean_environment: dict[str, str], shared_home: Path) -> None:
    """`shipml build` prints the same digest, document and lines, whole way or not, and CI's last line too."""
    environment = {**clean_environment, "SHIPML_HOME": str(shared_home), "DOCKER_HOST": "unix:///none", "CI": "1"}

    def build(*words: str) -> tuple[object, list[str]]:
        time.sleep(_SETTLED_SECONDS)
        done = run_forked([SHIPML, "build", "--name", "said", *words], environment=environment, folder=desk.folder)
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout) | {"elapsed_seconds": 0} if "--json" in words else done.stdout
        return shown, [line.partition(" (0.")[0].rpartition(", in ")[0] or line for line in done.stderr.splitlines()]

    for words in (("--json",), ("-v",)):
        build(*words)
        first, second, third = (build(*words) for _ in range(3))
        assert first == second == third
