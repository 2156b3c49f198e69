"""A small plan made by hand, and the folder that it describes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.facts.plan import (
    ApplicationFile,
    BasePin,
    DebianPackagePin,
    LayerPlan,
    LockedWheel,
    Plan,
)
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.store import Store

CODE = b"print('accuracy: 1.0')\n"
WEIGHTS = bytes(range(256)) * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with code, an executable, a link, an empty folder and weights."""
    project = tmp_path / "project"
    (project / "models" / "empty").mkdir(parents=True)
    (project / "app.py").write_bytes(CODE)
    (project / "go.sh").write_bytes(b"#!/bin/sh\n")
    (project / "latest").symlink_to("models/weights.bin")
    (project / "models" / "weights.bin").write_bytes(WEIGHTS)
    return project


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def plan() -> Plan:
    """A plan for `folder`, with one wheel and one extra Debian package."""
    nothing = Digest.of(b"")
    files = (
        ApplicationFile("app.py", "file", len(CODE), digest=Digest.of(CODE)),
        ApplicationFile("go.sh", "file", 10, executable=True, digest=Digest.of(b"#!/bin/sh\n")),
        ApplicationFile("latest", "symlink", target="models/weights.bin"),
        ApplicationFile("models", "directory"),
        ApplicationFile("models/empty", "directory"),
        ApplicationFile("models/weights.bin", "file", len(WEIGHTS), digest=Digest.of(WEIGHTS)),
    )
    gomp = DebianPackagePin("libgomp1", "12", "amd64", "pool/main/g/libgomp1.deb", "debian", 1, nothing)
    platform = Platform("linux", "amd64")
    return Plan(
        name="iris",
        platform=platform,
        python="3.11",
        base=BasePin("bookworm", "3.11.2", platform, (), (gomp,)),
        wheels=(
            LockedWheel(
                "joblib", "1.5.2", "https://example.org/joblib.whl", 1, nothing, "joblib-1.5.2-py3-none-any.whl"
            ),
        ),
        application=files,
        layers=(
            LayerPlan("weights", ("models/weights.bin",)),
            LayerPlan("application", ("app.py", "go.sh", "latest", "models", "models/empty")),
        ),
        command=("python", "app.py"),
        environment=(("LANG", "C.UTF-8"), ("PATH", "/opt/venv/bin:/usr/bin")),
        labels=(("org.opencontainers.image.title", 'the "iris" $project'),),
        exposed_ports=(8080,),
    )
