"""What holds for the image of a plan, whichever builder made it: seen from inside, by a container of a real engine."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipml import PlanRequest, Shipml
from shipml.build.builder import BuildContext, Builder
from shipml.build.choose import DockerOptions
from shipml.build.embedded import EmbeddedBuilder
from shipml.build_elsewhere.docker import DockerBuilder
from shipml.docker_engine import Engine as ConnectedEngine
from shipml.docker_engine import connect
from shipml.docker_engine.loading import load_image
from shipml.events import ignore
from shipml.facts.plan import ApplicationFile, Plan
from shipml.oci.image import Image, read_config
from shipml.oci.reference import Reference
from shipml.oci.validate import validate
from shipml.session import Session
from tests.peers.engine import Engine
from tests.peers.registry import Registry

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(600)]

_LOOK = """
import hashlib, importlib.metadata, json, os, sys
files = {}
for folder, folders, names in os.walk("."):
    for name in folders + names:
        path = os.path.join(folder, name)
        found = os.lstat(path)
        entry = {"mode": found.st_mode, "owner": [found.st_uid, found.st_gid]}
        if os.path.islink(path):
            entry["target"] = os.readlink(path)
        elif os.path.isfile(path):
            entry["digest"] = "sha256:" + hashlib.sha256(open(path, "rb").read()).hexdigest()
        files[os.path.relpath(path)] = entry
print(json.dumps({
    "files": files,
    "packages": sorted([each.metadata["Name"].lower(), each.version] for each in importlib.metadata.distributions()),
    "python": sys.version_info[:2], "executable": sys.executable, "prefix": sys.prefix,
    "user": [os.getuid(), os.getgid()], "folder": os.getcwd(), "folder owner": os.stat(".").st_uid,
    "environment": dict(os.environ), "paths": sys.path,
}))
"""
_SETTINGS = """
python = "3.11"
env = { GREETING = 'a "quoted" $HOME value', MODE = "production" }
[smoke]
minimum = { accuracy = 0.9 }
"""


@dataclass(frozen=True, slots=True)
class Built:
    """A plan, its image, and what a program inside it sees."""

    plan: Plan
    image: Image
    seen: dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every kind of file: code, a program, links, an empty folder, odd names, weights."""
    project = tmp_path_factory.mktemp("contract") / "odd-project"
    (project / "models" / "empty").mkdir(parents=True)
    (project / "shipml.toml").write_text(_SETTINGS)
    (project / "requirements.txt").write_text("joblib==1.5.2\nthreadpoolctl==3.6.0\n")
    (project / "app.py").write_text("import joblib\nprint('accuracy: 1.0')\n")
    (project / "go.sh").write_text("#!/bin/sh\n")
    (project / "go.sh").chmod(0o744)
    (project / "latest").symlink_to("models/weights.bin")
    (project / "models" / "self").symlink_to("weights.bin")
    (project / "models" / "weights.bin").write_bytes(os.urandom(5 << 20))
    (project / "données [1].txt").write_text("é\n")
    (project / "it's $HOME \\ *.txt").write_text("$\n")
    (project / "a $folder's").mkdir()
    (project / "a $folder's" / "[x].txt").write_text("x\n")
    (project / ".env").write_text("PASSWORD=secret\n")
    return project


@pytest.fixture(scope="module")
def session(shared_home: Path) -> Iterator[Shipml]:
    """A session where the base is."""
    with Shipml(home=shared_home) as opened:
        yield opened


@pytest.fixture(scope="module")
def plan(session: Shipml, folder: Path) -> Plan:
    """The plan that both builders get."""
    return session.plan(PlanRequest(folder=folder))


@pytest.fixture(scope="module")
def engine(docker_28_overlay2: Engine, hub: Registry) -> Iterator[ConnectedEngine]:
    """An engine that finds python:3.11-slim-bookworm."""
    assert hub
    with connect(environment={"DOCKER_HOST": docker_28_overlay2.host}, timeout_seconds=10) as connected:
        yield connected


@pytest.fixture(scope="module", params=["docker", "embedded"])
def built(request: pytest.FixtureRequest, session: Shipml, plan: Plan, folder: Path, engine: ConnectedEngine) -> Built:
    """The plan's image by each builder, and what is seen inside."""
    builders: dict[str, Builder] = {
        "embedded": EmbeddedBuilder(Session(session.store)),
        "docker": DockerBuilder(session.store, engine, DockerOptions()),
    }
    builder = builders[request.param]
    builder.check(plan)
    image = builder.build(plan, BuildContext(folder, ignore))
    name = f"contract-{builder.name}:1"
    load_image(engine, image, [Reference.parse(name)])
    peer: Engine = request.getfixturevalue("docker_28_overlay2")
    output = peer.docker("run", "--rm", "--network", "none", name, "python", "-c", _LOOK).stdout
    return Built(plan, image, json.loads(output))


def test_the_image_is_sound(built: Built, request: pytest.FixtureRequest) -> None:
    """No invariant of the format is broken; what engines and their bases put into tars is not ours to judge."""
    problems = validate(built.image)
    if "docker" in request.node.name:
        problems = [problem for problem in problems if not problem.startswith("layer ")]
    assert problems == []


def test_the_settings_are_those_of_the_plan(built: Built) -> None:
    """Command, user, folder, ports, labels and environment are what the plan says."""
    plan, config = built.plan, read_config(built.image)["config"]
    assert tuple(config["Cmd"]) == plan.command
    assert tuple(config.get("Entrypoint") or ()) == plan.entrypoint
    assert config["User"] == plan.user
    assert config["WorkingDir"] == plan.working_dir
    assert set(config.get("ExposedPorts") or ()) == {f"{port}/tcp" for port in plan.exposed_ports}
    assert dict(plan.labels).items() <= config["Labels"].items()
    assert {f"{name}={value}" for name, value in plan.environment} <= set(config["Env"])


def test_programs_see_the_plan(built: Built) -> None:
    """Inside, the environment, the user, the folder and the Python are those of the plan."""
    plan, seen = built.plan, built.seen
    assert dict(plan.environment).items() <= seen["environment"].items()
    assert seen["user"] == [65532, 65532]
    assert seen["folder"] == plan.working_dir
    assert seen["folder owner"] == 65532
    assert ".".join(map(str, seen["python"])) == plan.python
    assert seen["prefix"] == "/opt/venv"
    assert "/opt/venv/lib/python3.11/site-packages" in seen["paths"]


def test_packages_are_exactly_the_locked_ones(built: Built) -> None:
    """importlib.metadata finds each wheel of the lock, and nothing else."""
    assert built.seen["packages"] == [[wheel.name, wheel.version] for wheel in built.plan.wheels]


def test_files_are_exactly_the_application(built: Built) -> None:
    """Paths, content, modes, owner and links of the application are the plan's; a secret is not among them."""
    expected = {file.path: _expected(file) for file in built.plan.application}
    assert built.seen["files"] == expected
    assert ".env" not in expected


def _expected(file: ApplicationFile) -> dict[str, Any]:
    owner = [65532, 65532]
    if file.kind == "directory":
        return {"mode": stat.S_IFDIR | 0o755, "owner": owner}
    if file.kind == "symlink":
        return {"mode": stat.S_IFLNK | 0o777, "owner": owner, "target": file.target}
    mode = 0o755 if file.executable else 0o644
    return {"mode": stat.S_IFREG | mode, "owner": owner, "digest": str(file.digest)}
