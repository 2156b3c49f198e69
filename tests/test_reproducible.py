"""The same project gives the same digest on every machine."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytestmark = [pytest.mark.network, pytest.mark.slow]

EXAMPLE = Path(__file__).parent.parent / "example_project"
REPOSITORY = Path(__file__).parent.parent


def copy_shuffled(source: Path, target: Path) -> None:
    """Copy a folder, its files made in random order with times and umask-dependent modes of their own."""
    target.mkdir(parents=True)
    files = [path for path in source.rglob("*") if path.is_file()]
    random.SystemRandom().shuffle(files)
    for path in files:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600 | (path.stat().st_mode & 0o100))
        os.utime(copy, (1_000_000_000, 1_000_000_000))


def digest(command: list[str], folder: Path, platform: str, environment: Mapping[str, str], umask: int) -> str:
    """The digest of a build in the given surroundings."""
    done = subprocess.run(
        [*command, "build", str(folder), "--platform", platform, "--no-check", "--json", "--progress", "quiet"],
        env=dict(environment),
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["digest"])


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter: pytest's own is closed to them."""
    with tempfile.TemporaryDirectory(prefix="shipml-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def other_set_up(open_folder: Path) -> list[str]:
    """Another installation, where root is at hand by Debian's own Python and for the user nobody."""
    venv = open_folder / "venv"
    python = "/usr/bin/python3" if os.geteuid() == 0 and Path("/usr/bin/python3").exists() else sys.executable
    subprocess.run([sys.executable, "-m", "uv", "venv", "-q", "--python", python, venv], check=True)
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", venv / "bin/python", REPOSITORY], check=True
    )
    command = [str(venv / "bin/shipml")]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--", *command]
    return command


@pytest.fixture(scope="module")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some compiled code and some Python: what is built for another machine is no other recipe."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "requirements.txt").write_text("markupsafe==3.0.2\nidna==3.7\n")
    (folder / "app.py").write_text("import idna, markupsafe\n")
    return folder


def surroundings(home: Path, **extra: str) -> dict[str, str]:
    """An environment of its own, with the network settings of this machine."""
    kept = (
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
    )
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return {**environment, "PATH": os.environ["PATH"], "HOME": str(home), "SHIPML_HOME": str(home / "store"), **extra}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_two_set_ups_make_the_same_image(
    platform: str, tmp_path: Path, open_folder: Path, other_set_up: list[str], *, small_project: Path, shared_home: Path
) -> None:
    """HOME, SHIPML_HOME, TZ, umask, locale, hash seed, folder, user, Python and file order change no byte.

    The other set-up is clean; ours has what tests of this run made, piece by piece and in any order.
    """
    ours = tmp_path
    theirs = open_folder / platform.replace("/", "-")
    project = EXAMPLE if platform == "linux/amd64" else small_project
    copy_shuffled(project, ours / "example_project")
    copy_shuffled(project, theirs / "elsewhere" / "example_project")
    if os.geteuid() == 0:
        shutil.chown(theirs, "nobody")
        for path in theirs.rglob("*"):
            shutil.chown(path, "nobody")
    first = digest(
        [sys.executable, "-m", "shipml"],
        ours / "example_project",
        platform,
        surroundings(ours, SHIPML_HOME=str(shared_home), TZ="UTC", LC_ALL="C", PYTHONHASHSEED="1"),
        0o022,
    )
    second = digest(
        other_set_up,
        theirs / "elsewhere" / "example_project",
        platform,
        surroundings(theirs, TZ="Pacific/Auckland", LC_ALL="C.UTF-8", PYTHONHASHSEED="4242"),
        0o077,
    )
    assert first == second
