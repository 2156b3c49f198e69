"""What must hold when builds are killed, or run side by side."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.network, pytest.mark.slow]

SHIPML = [sys.executable, "-m", "shipml"]
KILLS = int(os.environ.get("SHIPML_TEST_KILLS", "20"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one large wheel, some small ones, weights and code."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "requirements.txt").write_text("numpy==2.2.6\njoblib==1.5.2\n")
    (folder / "app.py").write_text("import joblib, numpy\nprint('accuracy:', numpy.ones(1)[0])\n")
    (folder / "weights.bin").write_bytes(os.urandom(8 << 20))
    return folder


def shipml(*arguments: str, home: Path) -> dict[str, Any]:
    """The JSON result of a command that must succeed."""
    done = subprocess.run(
        [*SHIPML, *arguments, "--json", "--progress", "quiet"],
        env={**os.environ, "SHIPML_HOME": str(home)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.timeout(600)
def test_builds_killed_at_any_moment_leave_a_whole_store(project: Path, tmp_path: Path) -> None:
    """After builds killed with SIGKILL at random moments, a build succeeds and every blob is whole."""
    seed = int(os.environ.get("SHIPML_TEST_SEED", random.SystemRandom().randrange(1 << 30)))
    dice = random.Random(seed)  # noqa: S311  (a dice, no secret)
    print(f"SHIPML_TEST_SEED={seed}")  # noqa: T201  (pytest shows it where the test fails)
    home = tmp_path / "home"
    killed = 0
    longest_seconds = 3.0  # a first build takes longer, but what a killed one had done is there for the next
    while killed < KILLS:
        started_at = time.monotonic()
        build = subprocess.Popen(
            [*SHIPML, "build", str(project), "--progress", "quiet"],
            env={**os.environ, "SHIPML_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            build.wait(timeout=dice.uniform(0.05, longest_seconds))
        except subprocess.TimeoutExpired:
            os.killpg(build.pid, signal.SIGKILL)
            build.wait()
            killed += 1
        else:
            # It was quicker than our hand: kill earlier from now on, in a store that is empty again.
            longest_seconds = min(longest_seconds, time.monotonic() - started_at + 0.3)
            home = tmp_path / f"home-{killed}-{time.monotonic_ns()}"
    built = shipml("build", str(project), home=home)
    assert shipml("cache", "info", "--verify", home=home)["damaged"] == []
    assert not list((home / "tmp").iterdir())
    clean = shipml("build", str(project), home=tmp_path / "clean-home")
    assert built["digest"] == clean["digest"]


@pytest.mark.timeout(300)
def test_four_builds_at_once_share_a_store(project: Path, tmp_path: Path) -> None:
    """Four builds started together in one empty SHIPML_HOME all succeed with the same digest."""
    home = tmp_path / "home"
    builds = [
        subprocess.Popen(
            [*SHIPML, "build", str(project), "--json", "--progress", "quiet"],
            env={**os.environ, "SHIPML_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    results = [build.communicate() for build in builds]
    assert [build.returncode for build in builds] == [0] * 4, results
    assert len({json.loads(stdout)["digest"] for stdout, _ in results}) == 1
    assert shipml("cache", "info", "--verify", home=home)["damaged"] == []
