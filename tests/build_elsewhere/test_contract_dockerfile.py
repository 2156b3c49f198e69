"""A project's own Dockerfile does the same whether an engine carries it out or shipml follows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipml import PlanRequest, Shipml
from shipml.errors import PlanError
from shipml.oci.image import read_config
from tests.peers.engine import Engine
from tests.peers.registry import Registry

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(300)]

_DOCKERFILE = """\
ARG TAG=3.11-slim
FROM python:${TAG}
LABEL team="data science"
ENV MODE=fast \\
    GREETING="a b"
ENV PATH=/srv/tools:$PATH
WORKDIR /srv/app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt && pip install "toml==0.10.2"
COPY src/ ./code
COPY src/lib/*.py extra/
COPY one.cfg /etc/app/renamed.cfg
RUN useradd --uid 1234 runner && chown -R runner /srv/app
USER runner
EXPOSE 8000
CMD ["python", "code/show.py", "--flag", "a b"]
"""
_SHOW = """\
import hashlib, json, os, sys
import idna, toml
files = {}
for top in (".", "/etc/app"):
    for folder, folders, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if "__pycache__" not in path:
                files[path] = [oct(os.stat(path).st_mode), hashlib.sha256(open(path, "rb").read()).hexdigest()]
print(json.dumps({
    "files": files, "argv": sys.argv, "folder": os.getcwd(), "user": os.getuid(), "python": sys.version_info[:2],
    "environment": {name: os.environ[name] for name in ("MODE", "GREETING")},
    "first on path": os.environ["PATH"].split(":")[0], "packages": [idna.__version__, toml.__version__],
    "beside": sys.path[0],
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that copies here and there."""
    project = tmp_path_factory.mktemp("dockerfile") / "project"
    (project / "src" / "lib").mkdir(parents=True)
    (project / "Dockerfile").write_text(_DOCKERFILE)
    (project / "requirements.txt").write_text("idna==3.7\n")
    (project / "src" / "show.py").write_text(_SHOW)
    (project / "src" / "lib" / "a.py").write_text("a = 1\n")
    (project / "src" / "lib" / "b.txt").write_text("b\n")
    (project / "one.cfg").write_text("[a]\n")
    (project / "not-copied.txt").write_text("x\n")
    return project


@pytest.fixture(scope="module")
def session(shared_home: Path) -> Iterator[Shipml]:
    """A session where the base is."""
    with Shipml(home=shared_home) as opened:
        yield opened


def test_the_program_sees_the_same(
    folder: Path, session: Shipml, docker_20: Engine, hub: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files with their content and modes, arguments, folder, user, Python, packages, environment; and the config."""
    assert hub
    monkeypatch.setenv("DOCKER_HOST", docker_20.host)
    session.build(PlanRequest(folder=folder), references=["by-engine"], builder="docker")
    theirs = json.loads(docker_20.docker("run", "--rm", "--network", "none", "by-engine").stdout)
    report = session.build(PlanRequest(folder=folder), references=["by-us"], builder="embedded", load=False)
    result = session.run("by-us", runtime="sandbox")
    ours: dict[str, Any] = json.loads(result.output)
    assert ours == theirs
    config = read_config(session.store.image(report.digest))["config"]
    inspected = json.loads(docker_20.docker("inspect", "by-engine").stdout)[0]["Config"]
    for key in ("Cmd", "WorkingDir", "ExposedPorts"):
        assert config[key] == inspected[key], key
    assert config["Labels"]["team"] == "data science"


def test_what_only_an_engine_can_do_is_named(folder: Path, session: Shipml, tmp_path: Path) -> None:
    """The embedded builder refuses with the line; --no-dockerfile goes without."""
    other = tmp_path / "project"
    other.mkdir()
    (other / "Dockerfile").write_text("FROM python:3.11-slim\nRUN make all\n")
    (other / "app.py").write_text("print('x')\n")
    with pytest.raises(PlanError, match=r"Dockerfile:2 \(RUN make all\): make is not understood"):
        session.build(PlanRequest(folder=other), builder="embedded", load=False)
    session.build(PlanRequest(folder=other, no_dockerfile=True), builder="embedded", load=False)
