"""`shipml build` on a folder with a Dockerfile: who builds it, where it lies, and what is said without an engine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml import PlanRequest, Shipml
from shipml.build.choose import DockerOptions, decide_builder
from shipml.docker_engine import connect
from shipml.docker_engine.loading import load_image
from shipml.errors import UnavailableError, UsageError
from shipml.events import Event, Notice
from shipml.library import load
from shipml.oci.archive import read_archive
from shipml.oci.layout import read_layout
from shipml.oci.reference import Reference
from tests.peers.engine import Engine
from tests.peers.forked import SHIPML, run_forked
from tests.runtimes.images import busybox_layer, make_image

BASE = Reference.parse("shipml-test-busybox:1")
SETTINGS = 'name = "own-file"\n[smoke]\nexpect = "accuracy: 1"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a Dockerfile, and settings."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "Dockerfile").write_text(f'FROM {BASE}\nCOPY say.sh /\nCMD ["sh", "/say.sh"]\n')
    (project / "say.sh").write_text("echo accuracy: 1\n")
    (project / "shipml.toml").write_text(SETTINGS)
    return project


@pytest.fixture
def events() -> list[Event]:
    """What was told."""
    return []


@pytest.fixture
def session(tmp_path: Path, events: list[Event]) -> Iterator[Shipml]:
    """A home of its own."""
    with Shipml(home=tmp_path / "home", emit=events.append) as opened:
        yield opened


@pytest.fixture
def engine(docker_28_overlay2: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The user's engine, which has the base."""
    monkeypatch.setenv("DOCKER_HOST", docker_28_overlay2.host)
    with connect(timeout_seconds=10) as connected:
        load_image(connected, make_image([busybox_layer()], Cmd=["sh"], Env=["PATH=/bin"]), [BASE])
    return docker_28_overlay2


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("auto", DockerOptions(), "docker"),
        ("auto", DockerOptions(target="x"), "docker"),
        ("embedded", DockerOptions(), "embedded"),
        ("docker", DockerOptions(), "docker"),
    ],
)
def test_who_builds_a_folder_with_a_dockerfile(folder: Path, name: str, options: DockerOptions, expected: str) -> None:
    """The Dockerfile decides, unless the user does; the reason is said."""
    decision = decide_builder(name, folder, options)
    assert decision.value == expected
    assert ("Dockerfile" if name == "auto" else "--builder") in decision.because


def test_without_a_dockerfile_no_engine_is_needed(folder: Path) -> None:
    """Without one `auto` takes the embedded builder; a Dockerfile elsewhere counts; docker's options need docker."""
    other = (folder / "Dockerfile").rename(folder / "gpu.Dockerfile")
    assert decide_builder("auto", folder, DockerOptions()).value == "embedded"
    assert decide_builder("auto", folder, DockerOptions(file=other)).value == "docker"
    with pytest.raises(UsageError, match="--no-cache is an option of the builder docker"):
        decide_builder("auto", folder, DockerOptions(no_cache=True))
    with pytest.raises(UsageError, match="'kaniko'"):
        decide_builder("kaniko", folder, DockerOptions())


@pytest.mark.parametrize(
    ("dockerfile", "options", "named", "flags"),
    [
        ("FROM python:3.11\nCOPY . .\nRUN make all\nCMD python app.py\n", (), "Dockerfile:3", ("--no-dockerfile",)),
        ("FROM alpine\nCMD python app.py\n", ("--build-arg", "A=1"), "Docker Engine", ()),
        ("FROM python:3.11\nCOPY . .\nCMD python app.py\n", ("--builder", "docker"), "--builder", ()),
    ],
)
@pytest.mark.network
@pytest.mark.slow
def test_without_an_engine_the_hint_leads_to_an_image(
    dockerfile: str, options: tuple[str, ...], named: str, flags: tuple[str, ...], *, tmp_path: Path, shared_home: Path
) -> None:
    """The line that only an engine understands is named, and what the hint says builds the project."""
    project = tmp_path / "churn"
    project.mkdir()
    (project / "app.py").write_text("print('accuracy: 1')\n")
    (project / "Dockerfile").write_text(dockerfile)
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nobody", "SHIPML_HOME": str(shared_home)}

    def build(*words: str) -> subprocess.CompletedProcess[str]:
        return run_forked([SHIPML, "build", project, *words, "--json"], environment=environment, folder=tmp_path)

    failed = build(*options)
    error = json.loads(failed.stdout)["error"]
    assert (failed.returncode, error["kind"]) == (2, "unavailable")
    assert named in error["message"]
    hinted = ("--builder", "embedded", *flags)
    assert error["hint"].endswith(" ".join(hinted))
    assert build(*hinted).returncode == 0


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_it_is_built_told_and_run(folder: Path, session: Shipml, tmp_path: Path) -> None:
    """The report has id, names, base, layers and the reason; `run` finds it by its folder and by name."""
    archive, layout = tmp_path / "image.tar", tmp_path / "layout"
    report = session.build(PlanRequest(folder=folder), outputs=[f"docker-archive:{archive}", f"oci:{layout}"])
    assert report.builder == "docker"
    assert report.references == ("own-file:latest",)
    assert report.base == str(BASE)
    assert report.decisions[0].because == "the project has a Dockerfile"
    assert [layer.kind for layer in report.layers] == ["layer", "layer"]
    with connect(timeout_seconds=10) as connected:
        assert connected.image("own-file").id == report.digest
    assert [each.diff_id for each in read_archive(archive).layers] == [each.diff_id for each in report.layers]
    assert [each.diff_id for each in read_layout(layout).layers] == [each.diff_id for each in report.layers]

    result = session.run(str(folder))
    assert result.passed
    assert result.runtime == "docker"
    assert session.run("own-file").passed
    again = session.build(PlanRequest(folder=folder))
    assert again.reused_layers == 2


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_options_that_a_dockerfile_overrides_are_named(folder: Path, session: Shipml, events: list[Event]) -> None:
    """Who asks for a Python beside a Dockerfile hears that the Dockerfile decides."""
    session.build(PlanRequest(folder=folder, python="3.11", with_shell=True))
    assert "--python, --with-shell changes nothing here: the Dockerfile decides" in [
        event.message for event in events if isinstance(event, Notice)
    ]


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_the_smoke_check_of_the_settings_travels(folder: Path, session: Shipml) -> None:
    """A program that does not do what [smoke] demands fails in `run`."""
    (folder / "say.sh").write_text("echo nothing\n")
    session.build(PlanRequest(folder=folder), references=["wrong:1"])
    assert not session.run("wrong:1").passed


def test_a_broken_engine_does_not_break_an_embedded_build(
    session: Shipml, events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is built and kept; that the engine has it not is a notice, an error only where it was asked for."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    image = make_image([busybox_layer()], Cmd=["sh"])
    load(session.session, image, [BASE], must=False)
    assert [each.level for each in events if isinstance(each, Notice)] == ["warning"]
    with pytest.raises(UnavailableError):
        load(session.session, image, [BASE], must=True)
