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


STAGES = """\
FROM python:3.12-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/
WORKDIR /srv/x
COPY pyproject.toml ./
COPY src src
RUN uv sync --no-dev && touch x.log
FROM python:3.11-slim-bookworm
WORKDIR /srv/x
COPY --from=build /srv/x /srv/x
VOLUME /data
CMD ["uv", "run", "hello"]
"""
PYPROJECT = """\
[project]
name = "hello"
version = "1.2"
dependencies = ["six==1.16.0"]
[project.scripts]
hello = "hello:main"
"""


def test_stages_and_other_installers_are_followed(ship: Run, tmp_path: Path) -> None:
    """Packages, the project and its command are there; what is left out is said, and `--strict` refuses it."""
    folder = tmp_path / "hello"
    (folder / "src" / "hello").mkdir(parents=True)
    (folder / "src" / "hello" / "__init__.py").write_text("import six\n\ndef main():\n    print(six.__version__)\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "Dockerfile").write_text(STAGES)
    done = ship("plan", str(folder), "--json")
    plan = json.loads(done.stdout)
    assert (plan["command"], plan["base"]["suite"]) == (["hello"], "bookworm")
    assert "six" in {wheel["name"] for wheel in plan["wheels"]}
    assert "/srv/x/src\n" in {file["text"] for file in plan["generated"]}
    assert "Dockerfile:6" in done.stderr
    refused = ship("plan", str(folder), "--strict", "--json")
    assert json.loads(refused.stdout)["error"]["kind"] == "plan"


def test_a_script_that_the_dockerfile_holds_gets_a_shell(ship: Run, project: Path) -> None:
    """`COPY <<EOF` makes a file, `chmod` makes it run; conda's file and names say what is installed."""
    (project / "env.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - six==1.16.0\n")
    (project / "Dockerfile").write_text(
        "FROM continuumio/miniconda3\nWORKDIR /code\nCOPY . .\n"
        "RUN conda env create -f env.yml && conda install -y idna=3.10\n"
        'COPY <<EOF /code/start.sh\n#!/bin/sh\nexec python app.py "$@"\nEOF\n'
        'RUN chmod +x start.sh\nENTRYPOINT ["./start.sh"]\n'
    )
    plan = json.loads(ship("plan", str(project), "--json").stdout)
    assert {(wheel["name"], wheel["version"]) for wheel in plan["wheels"]} >= {("six", "1.16.0"), ("idna", "3.10")}
    assert [file["executable"] for file in plan["generated"] if file["path"] == "/code/start.sh"] == [True]
    assert "bash" in {package["name"] for package in plan["base"]["extra_packages"]}
