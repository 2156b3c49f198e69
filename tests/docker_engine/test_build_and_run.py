"""The commands and the user's engine: what is built is there, what is there can be run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml import PlanRequest, Shipml
from shipml.docker_engine import Engine
from shipml.docker_engine.loading import load_image
from shipml.errors import UsageError
from shipml.events import (
    Event,
    Notice,
    StepFinished,
    StepStarted,
)
from shipml.oci.reference import Reference
from tests.runtimes.images import shell_image

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def heard() -> list[Event]:
    """The events of the session."""
    return []


@pytest.fixture
def session(shared_home: Path, heard: list[Event]) -> Iterator[Shipml]:
    """A session of shipml, where the base is."""
    with Shipml(shared_home, heard.append) as opened:
        yield opened


def _project(folder: Path, accuracy: float) -> PlanRequest:
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").touch()
    (folder / "app.py").write_text(f"print('accuracy: {accuracy}')\n")
    return PlanRequest(folder)


@pytest.mark.network
@pytest.mark.feature("build (embedded): the image is in the engine")
def test_a_build_is_in_the_engine_and_one_changed_line_travels_alone(
    docker: Engine, session: Shipml, heard: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a build the engine has the image under its names; after the next, with one line changed, the new one."""
    monkeypatch.setenv("DOCKER_HOST", docker.endpoint.url)
    for accuracy in (0.25, 0.5):
        heard.clear()
        session.build(_project(tmp_path / "app", accuracy), references=["built:1", "user/built:latest"])
        first, second = docker.image("built:1"), docker.image("user/built:latest")
        assert first.id == second.id
        result = session.run("built:1", runtime="docker")
        assert (result.measures["accuracy"], result.runtime) == (accuracy, "docker")
    by_build, for_run = (one.detail for one in heard if isinstance(one, StepFinished) and one.name == "load")
    assert by_build.endswith(" sent")
    assert not for_run.endswith(" sent")


@pytest.mark.network
def test_a_build_without_the_engine(
    docker: Engine, session: Shipml, heard: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `load=False` nothing is loaded; an engine that is named and does not answer is a warning, not a failure."""
    monkeypatch.setenv("DOCKER_HOST", docker.endpoint.url)
    session.build(_project(tmp_path / "app", 0.75), references=["not:loaded"], load=False)
    assert docker.find_image("not:loaded") is None
    assert not [event for event in heard if isinstance(event, StepStarted) and event.name == "load"]

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    session.build(_project(tmp_path / "app", 0.75), references=["not:loaded"])
    warnings = [event.message for event in heard if isinstance(event, Notice) and event.level == "warning"]
    assert any("no Docker Engine is running" in message for message in warnings), warnings


@pytest.mark.feature("run: an image that only the engine has")
def test_run_takes_what_only_the_engine_has(engine: Engine, session: Shipml, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is not in the store is run on the engine that has it; what is in neither is not found."""
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint.url)
    load_image(engine, shell_image("echo accuracy: 0.125"), [Reference.parse("somebody/elses:1")])
    result = session.run("somebody/elses:1")
    assert (result.passed, result.measures) == (True, {"accuracy": 0.125})
    for name in ("never:made", "./no/folder"):
        with pytest.raises(UsageError):
            session.run(name)
    with pytest.raises(UsageError):
        session.run("somebody/elses:1", runtime="sandbox")
