"""A static busybox as the material of images, and a store; processes of other users."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import isal
import pytest

from shipml.events import Event
from shipml.facts.plan import SmokeCheck
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.sandbox import Sandbox
from shipml.store import Store

_IMAGES = Path(__file__).with_name("images.py")
_ROOT = Path(__file__).parents[2]


def _load_images() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runtime_images", _IMAGES)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def images() -> ModuleType:
    """The module that makes images of busybox; skips where there is none and none can be installed."""
    module = _load_images()
    if not module.BUSYBOX.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "busybox-static"], check=False, capture_output=True)
    if not module.BUSYBOX.exists():
        pytest.skip("needs a static /bin/busybox (Debian: busybox-static)")
    return module


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def run(images: ModuleType, store: Store) -> Callable[..., SmokeResult]:
    """Runs a shell command in the sandbox; keywords: memory_bytes, environment, SmokeCheck's, Config's."""

    def run_command(
        line: str, /, *layers: Any, events: list[Event] | None = None, image: Any = None, **settings: Any
    ) -> SmokeResult:
        options = {key: settings.pop(key) for key in ("memory_bytes", "environment") if key in settings}
        config = {key: settings.pop(key) for key in list(settings) if key[0].isupper()}
        check = SmokeCheck(**({"timeout_seconds": 30.0} | settings))
        image = image or images.shell_image(line, *layers, **config)
        sandbox = Sandbox(store)
        sandbox.check(image)
        heard = events if events is not None else []
        return sandbox.run(image, RunOptions(check, **options), heard.append)

    return run_command


Starter = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can pass through: pytest closes its own again whenever another run starts."""
    with tempfile.TemporaryDirectory(prefix="shipml-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def start(images: ModuleType, open_folder: Path) -> Starter:
    """Starts images.py as a process: `start(command, account=None, user="", timeout_seconds=30, memory_bytes=0)`."""

    def start_process(
        command: str,
        *,
        account: str | None = None,
        user: str = "",
        timeout_seconds: float = 30,
        memory_bytes: int = 0,
        prefix: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        home = open_folder / f"home-{account or 'mine'}"
        home.mkdir(exist_ok=True)
        python, environment = sys.executable, dict(os.environ)
        if account:
            python = _python_for_all()
            folders = [str(_ROOT), str(Path(isal.__file__).parents[1])]
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(folders)}
            shutil.chown(home, account)
            entry = pwd.getpwnam(account)
            prefix = ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *prefix)
        numbers = [str(timeout_seconds), str(memory_bytes)]
        return subprocess.Popen(
            [*prefix, python, str(_IMAGES), str(home), user, *numbers, command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    return start_process


@pytest.fixture
def run_as(start: Starter) -> Callable[..., dict[str, Any]]:
    """As `start`, but waits and returns the printed document."""

    def run_process(command: str, **settings: Any) -> dict[str, Any]:
        with start(command, **settings) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        document: dict[str, Any] = json.loads(out)
        return document

    return run_process


@pytest.fixture(scope="session")
def account_with_ids() -> Iterator[str]:
    """A user of this machine, made for the tests, with subordinate IDs; needs root and newuidmap."""
    if os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("needs root and useradd, to make a user")
    if not shutil.which("newuidmap"):
        subprocess.run(["apt-get", "install", "-y", "-q", "uidmap"], check=False, capture_output=True)
    if not shutil.which("newuidmap"):
        pytest.skip("needs newuidmap (Debian: uidmap)")
    name = f"shipml-test-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--user-group", name], check=True, capture_output=True)
    yield name
    subprocess.run(["userdel", name], check=True, capture_output=True)


def _python_for_all() -> str:
    """An interpreter of this minor version that other users may execute: ours may lie in root's home."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        trial = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", candidate, "-c", again]
        if Path(candidate).exists() and subprocess.run(trial, check=False, capture_output=True).returncode == 0:
            return candidate
    pytest.skip(f"needs a {name} that other users may execute")
