"""Projects with a Dockerfile and without an engine, as users type it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytestmark = [pytest.mark.network, pytest.mark.slow]

DOCKERFILE = """\
FROM python:3.11-slim
WORKDIR /srv
COPY . .
ENTRYPOINT ["python", "app.py"]
CMD ["--default"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A program that prints what it was given; the Dockerfile is yet to be written."""
    folder = tmp_path / "echo"
    folder.mkdir()
    (folder / "app.py").write_text("import sys\n\nprint(sys.argv[1:])\n")
    return folder


@pytest.fixture
def ship(shipml: Run, shared_home: Path, tmp_path: Path) -> Run:
    """`shipml` with a store and without an engine."""
    away = {"SHIPML_HOME": str(shared_home), "DOCKER_HOST": f"unix://{tmp_path}/nobody"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return shipml(*words, env=away)

    return run


def test_arguments_of_a_run_take_the_place_of_cmd_alone(ship: Run, project: Path) -> None:
    """ENTRYPOINT stays, in the image and in the Dockerfile that is printed; the user has a reason."""
    (project / "Dockerfile").write_text(DOCKERFILE)
    plan = json.loads(ship("plan", str(project), "--json").stdout)
    assert (plan["entrypoint"], plan["command"]) == (["python", "app.py"], ["--default"])
    assert [one["because"] for one in plan["decisions"] if one["what"] == "user"] == [
        "Dockerfile does not switch to another user"
    ]
    assert ship("build", str(project), "-t", "echo:entrypoint").returncode == 0
    config = json.loads(ship("inspect", "echo:entrypoint", "--json").stdout)
    assert json.dumps(["python", "app.py"]) in json.dumps(config)
    assert "['--default']" in ship("run", "echo:entrypoint").stdout


@pytest.mark.parametrize("name", ["dockerfile", "Containerfile"])
def test_other_names_of_dockerfiles_are_found(ship: Run, project: Path, name: str) -> None:
    """As docker and podman find them: they decide, errors name them, and no image gets them."""
    (project / name).write_text(DOCKERFILE)
    (project / f"{name}.dockerignore").write_text("secret.txt\n")
    (project / "secret.txt").write_text("x")
    plan = json.loads(ship("plan", str(project), "--json").stdout)
    assert plan["working_dir"] == "/srv"
    assert [file["path"] for file in plan["application"]] == ["app.py"]
    (project / name).write_text(DOCKERFILE + "RUN make\n")
    failed = ship("build", str(project), "--json")
    assert failed.returncode == 2
    assert f"{name}:6" in json.loads(failed.stdout)["error"]["message"]
