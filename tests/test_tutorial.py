"""The tutorial that many follow, step by step, with shipml's commands: from the Iris project to a registry and back.

Iris itself, with 100 MB of packages, goes to 20.10; to the other engines a project with one small package goes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.peers.engine import run
from tests.peers.registry import PYTHON_BASE, Registry, start_registry

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLE = Path(__file__).parent.parent / "example_project"
ENGINES = ["docker_20", "docker_28_containerd", "podman_service"]
"""28.5 with overlay2 stores as 20.10 does, and speaks as the other 28.5 does."""
ACCURACY = re.compile(r"^accuracy: (0\.9\d*|1\.0*)(?: 3\.7)?$", re.MULTILINE)
DOCKERFILE = f"""\
FROM {PYTHON_BASE}
ENV PIP_NO_COMPILE=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["python", "app.py"]
"""
SMALL = {"requirements.txt": "idna==3.7\n", "app.py": "import idna\nprint('accuracy: 0.97', idna.__version__)\n"}
PASSWORD = "a-good-password"
HTPASSWD = "username:$2y$05$abcdefghijklmnopqrstuuOcxJew.7PcUcLTkSpIxDnA.SkQFXjFm\n"
"""The bcrypt hash of PASSWORD."""
IMAGE = "ml-docker-app"


@dataclass(frozen=True, slots=True)
class Desk:
    """A user's machine: the project, an engine, and a home."""

    project: Path
    environment: dict[str, str]

    def type(self, *words: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the project folder."""
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=self.project,
            input=stdin,
            env=os.environ | self.environment | variables,
        )

    def shipml(self, *words: str) -> str:
        """Run shipml, which must succeed; what it printed to stdout."""
        done = self.type(sys.executable, "-m", "shipml", *words)
        assert done.returncode == 0, f"shipml {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def docker(self, *words: str, stdin: str = "") -> str:
        """Run the docker client, which must succeed; what it printed to stdout."""
        done = self.type("docker", *words, stdin=stdin)
        assert done.returncode == 0, f"docker {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def locked() -> Iterator[Registry]:
    """A registry that only lets `username` in."""
    with start_registry(HTPASSWD) as started:
        yield started


@pytest.fixture(params=ENGINES)
def desk(request: pytest.FixtureRequest, hub: Registry, tmp_path: Path) -> Desk:
    """The project with the tutorial's Dockerfile, at each engine in turn."""
    assert hub
    project = tmp_path / "iris"
    if request.param == "docker_20":
        shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        project.mkdir()
        for name, text in SMALL.items():
            (project / name).write_text(text)
    (project / "Dockerfile").write_text(DOCKERFILE)
    environment = {
        "DOCKER_HOST": request.getfixturevalue(request.param).host,
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "HOME": str(tmp_path),
        "SHIPML_HOME": str(tmp_path / "home"),
    }
    return Desk(project, environment)


@pytest.mark.feature("tutorial: Dockerfile, build, run, tag, push with a password, pull")
def test_the_tutorial(desk: Desk, locked: Registry) -> None:
    """Built and run, the project shows its accuracy; pushed with the right password, anybody's docker shows it too."""
    desk.shipml("build", ".", "--builder", "docker", "-t", IMAGE)
    assert IMAGE in desk.docker("images", "--format", "{{.Repository}}")
    assert ACCURACY.search(desk.shipml("run", IMAGE))

    port = locked.host.rpartition(":")[2]
    name = f"localhost:{port}/username/{IMAGE}"
    assert desk.shipml("tag", IMAGE, name).strip() == f"{name}:latest"

    argv = (sys.executable, "-m", "shipml", "push", name, "--json")
    refused = desk.type(*argv, SHIPML_USERNAME="username", SHIPML_PASSWORD="not-the-password")
    error = json.loads(refused.stdout)["error"]
    assert (refused.returncode, error["kind"]) == (4, "not-allowed"), refused.stderr
    assert f"shipml login localhost:{port}" in error["hint"]
    assert "those of username from SHIPML_USERNAME" in error["message"]
    assert "not-the-password" not in refused.stdout + refused.stderr

    desk.docker("login", "--username", "username", "--password-stdin", f"localhost:{port}", stdin=PASSWORD)
    pinned = desk.shipml("push", name).strip()
    digest = pinned.partition("@")[2]
    assert pinned == f"{name}@{digest}"
    assert _inspect(locked, pinned)["Digest"] == digest

    desk.docker("rmi", "--force", name, IMAGE)
    desk.docker("pull", "--quiet", pinned)
    assert ACCURACY.search(desk.docker("run", "--rm", "--network", "none", pinned))


def _inspect(registry: Registry, pinned: str) -> dict[str, Any]:
    path = pinned.partition("/")[2]
    argv = ["skopeo", "inspect", "--tls-verify=false", "--creds", f"username:{PASSWORD}"]
    document: dict[str, Any] = json.loads(run([*argv, f"docker://{registry.host}/{path}"]).stdout)
    return document
