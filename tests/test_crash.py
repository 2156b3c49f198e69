"""What must hold when builds are killed, or run side by side."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.network, pytest.mark.slow]

SHIPML = [sys.executable, "-m", "shipml"]
KILLS = int(os.environ.get("SHIPML_TEST_KILLS", "12"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one large wheel, some small ones, weights and code."""
    folder = tmp_path_factory.mktemp("crash") / "project"
    folder.mkdir()
    (folder / "requirements.txt").write_text("pillow==11.3.0\njoblib==1.5.2\n")
    (folder / "app.py").write_text(
        "import joblib\nfrom PIL import Image\nprint('accuracy:', Image.new('1', (1, 1), 1).size[0])\n"
    )
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


@dataclass(frozen=True, slots=True)
class Together:
    """Builds that were started together in one home: exit code, stdout and stderr of each."""

    home: Path
    ended: list[tuple[int, bytes, bytes]]


@pytest.fixture(scope="module")
def four_builds(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Together:
    """Four builds, in a home that was empty."""
    home = tmp_path_factory.mktemp("together") / "home"
    builds = [
        subprocess.Popen(
            [*SHIPML, "build", str(project), "--json", "--progress", "quiet"],
            env={**os.environ, "SHIPML_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    outputs = [build.communicate() for build in builds]
    return Together(home, [(build.returncode, *output) for build, output in zip(builds, outputs, strict=True)])


@pytest.mark.timeout(300)
def test_four_builds_at_once_share_a_store(four_builds: Together) -> None:
    """Four builds started together in one empty SHIPML_HOME all succeed with the same digest."""
    assert [code for code, _, _ in four_builds.ended] == [0] * 4, four_builds.ended
    assert len({json.loads(stdout)["digest"] for _, stdout, _ in four_builds.ended}) == 1
    assert shipml("cache", "info", "--verify", home=four_builds.home)["damaged"] == []


@pytest.mark.timeout(600)
def test_builds_killed_at_any_moment_leave_a_whole_store(project: Path, tmp_path: Path, four_builds: Together) -> None:
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
    assert built["digest"] == json.loads(four_builds.ended[0][1])["digest"], "of a home where nothing was killed"
