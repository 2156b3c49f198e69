"""The builders that are compared, each behind the same few verbs."""

from __future__ import annotations

import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Run, run
from tests.peers.engine import Engine
from tests.peers.registry import PYTHON_BASE, Registry

__all__ = ["Builder", "Buildx", "Classic", "Shipml"]

EXAMPLE = Path(__file__).parent.parent / "example_project"
PYTHON = "3.11"

_TUTORIAL = f"""\
FROM {PYTHON_BASE}
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["python", "app.py"]
"""

# What BuildKit's and uv's own documentation recommend. uv comes from a context: in nobody's way, in no layer.
_BEST = f"""\
FROM {PYTHON_BASE}
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_BREAK_SYSTEM_PACKAGES=1
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,source=requirements.txt,target=requirements.txt \\
    --mount=type=bind,from=uv,source=uv,target=/bin/uv \\
    uv pip install --system -r requirements.txt
COPY . .
CMD ["python", "app.py"]
"""


@dataclass
class Builder(ABC):
    """Builds its own copy of the example project."""

    work: Path
    registry: Registry | None
    name = ""

    def __post_init__(self) -> None:
        """Make the project's copy."""
        shutil.copytree(EXAMPLE, self.project, ignore=shutil.ignore_patterns("__pycache__"))
        self.prepare()

    @property
    def project(self) -> Path:
        """The copy that is built and changed."""
        return self.work / self.name / "project"

    @property
    def image(self) -> str:
        """Where the finished image is pushed."""
        return f"{self.registry.host if self.registry else 'localhost'}/bench/{self.name}:1"

    def edit_code(self, number: int) -> None:
        """Change one line of the program."""
        source = (EXAMPLE / "app.py").read_text()
        (self.project / "app.py").write_text(f"{source}\nCHANGE = {number}\n")

    def pin_joblib(self, version: str) -> None:
        """Change one small pin."""
        source = (EXAMPLE / "requirements.txt").read_text()
        (self.project / "requirements.txt").write_text(source.replace("joblib==1.5.2", f"joblib=={version}"))

    @abstractmethod
    def prepare(self) -> None:
        """Make what the builder needs once; nobody times it."""

    @abstractmethod
    def wipe(self, *, keep_base: bool) -> None:
        """Forget everything, or everything but the base image."""

    @abstractmethod
    def build(self) -> Run:
        """Build the project as it stands."""

    @abstractmethod
    def push(self) -> None:
        """Put the image into the registry."""


@dataclass
class Docker(Builder):
    """What both Docker builders share."""

    engine: Engine
    dockerfile = ""

    def prepare(self) -> None:
        """Write the Dockerfile."""
        (self.project / "Dockerfile").write_text(self.dockerfile)
        (self.project / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")

    def push(self) -> None:
        """Push with the engine."""
        self.engine.docker("push", "--quiet", self.image, timeout_seconds=300)

    def wipe(self, *, keep_base: bool) -> None:
        """Remove images, build cache and cache mounts."""
        self.engine.docker("system", "prune", "--all", "--force", timeout_seconds=300)
        self.engine.docker("builder", "prune", "--all", "--force", timeout_seconds=300)
        if keep_base:
            self.engine.docker("pull", "--quiet", PYTHON_BASE, timeout_seconds=300)


@dataclass
class Classic(Docker):
    """The tutorial's Dockerfile, by the classic builder of Engine 20.10."""

    name = "classic"
    dockerfile = _TUTORIAL

    def build(self) -> Run:
        """`docker build` without BuildKit."""
        argv = ["docker", "build", "--quiet", "--network", "host", "--tag", self.image, "."]
        return run(argv, {**self.engine.environment, "DOCKER_BUILDKIT": "0"}, self.project)


@dataclass
class Buildx(Docker):
    """BuildKit of Engine 28 with uv, a cache mount and bytecode."""

    name = "buildx"
    dockerfile = _BEST

    def prepare(self) -> None:
        """Lay uv where the build finds it."""
        super().prepare()
        (self.work / "uv").mkdir()
        shutil.copy2(Path(sys.executable).with_name("uv"), self.work / "uv" / "uv")

    def build(self) -> Run:
        """`docker buildx build`."""
        argv = self.engine.buildx_argv(
            "build", "--quiet", "--network", "host", "--provenance=false", "--load",
            "--build-context", f"uv={self.work / 'uv'}", "--tag", self.image, ".",
        )  # fmt: skip
        return run(argv, self.engine.environment, self.project)


@dataclass
class Shipml(Builder):
    """shipml's embedded builder."""

    name = "shipml"

    def prepare(self) -> None:
        """Keep a home that has seen the base, and nothing else, by building a project without packages."""
        empty = self.work / "empty"
        empty.mkdir()
        (empty / "app.py").write_text("print('accuracy: 1.0')\n")
        self._shipml("build", str(empty), "--python", PYTHON)
        self._home.rename(self.work / "home-with-base")

    def wipe(self, *, keep_base: bool) -> None:
        """A new SHIPML_HOME and a new cache of uv."""
        for folder in (self._home, self.work / "uv-cache"):
            shutil.rmtree(folder, ignore_errors=True)
        if keep_base:
            shutil.copytree(self.work / "home-with-base", self._home, symlinks=True)

    def build(self) -> Run:
        """`shipml build`."""
        return self._shipml("build", str(self.project), "--python", PYTHON)

    def build_into(self, engine: Engine) -> Run:
        """`shipml build --load`: the image is where a Docker build would have left it."""
        argv = [sys.executable, "-m", "shipml", "build", str(self.project), "--python", PYTHON, "--load"]
        return run(argv, {**self._environment, **engine.environment})

    def push(self) -> None:
        """Copy the image with skopeo."""
        layout = self.work / "layout"
        self._shipml("build", str(self.project), "--python", PYTHON, "--output", f"oci:{layout}")
        run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{self.image}"])

    def _shipml(self, *arguments: str) -> Run:
        return run([sys.executable, "-m", "shipml", *arguments], self._environment)

    @property
    def _home(self) -> Path:
        return self.work / "home"

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "SHIPML_HOME": str(self._home),
            "UV_CACHE_DIR": str(self.work / "uv-cache"),
            "DOCKER_HOST": "unix:///nonexistent",
        }
