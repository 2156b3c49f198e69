"""The tests' own peers: they are real, they work here, and nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.peers.engine import Engine, engine_2010, run
from tests.peers.registry import PYTHON_BASE, Registry, push_python_base

pytestmark = [pytest.mark.engine, pytest.mark.slow]

_STARTS_AND_SLEEPS = """
import time
from tests.peers.engine import engine_2010
engine = engine_2010()
print(engine.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.network
def test_an_engine_pulls_from_the_hub_mirror_and_runs(docker_engine: Engine, hub: Registry) -> None:
    """Each engine pulls python:3.11-slim from the local registry, as from Docker Hub, and runs its Python."""
    docker_engine.docker("pull", "--quiet", PYTHON_BASE)
    printed = docker_engine.docker("run", "--rm", "--network", "none", PYTHON_BASE, "python", "--version")
    assert printed.stdout.startswith("Python 3.11.")


def test_engines_are_the_versions_that_the_tests_speak_of(docker_20: Engine, docker_28_containerd: Engine) -> None:
    """The engines are the oldest supported (20.10) and a current one (28 or newer)."""
    assert docker_20.version.startswith("20.10.")
    assert int(docker_28_containerd.version.partition(".")[0]) >= 28


def test_a_stopped_engine_leaves_nothing() -> None:
    """After `with`, no process, mount or file of an engine is left."""
    with engine_2010() as engine:
        assert _processes_that_name(engine.folder)
    assert _traces_of(engine.folder) == []


def test_an_engine_dies_with_a_killed_test_run() -> None:
    """Kill -9 of the process that started an engine ends dockerd, containerd and their mounts too."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STARTS_AND_SLEEPS],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert _processes_that_name(folder)

    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    deadline = time.monotonic() + 20
    while _processes_that_name(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _processes_that_name(folder) == []
    with engine_2010():  # whoever starts next removes the files
        assert not folder.exists()


def test_skopeo_reads_what_the_registry_holds(hub: Registry) -> None:
    """The registry speaks the distribution API to a client that is not ours."""
    push_python_base(hub)
    listing = run(["skopeo", "list-tags", "--tls-verify=false", f"docker://{hub.host}/library/python"])
    assert '"3.11-slim"' in listing.stdout


def _traces_of(folder: Path) -> list[str]:
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]
    return _processes_that_name(folder) + mounts + ([str(folder)] if folder.exists() else [])


def _processes_that_name(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found
