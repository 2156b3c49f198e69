"""No secret shows: not in output, however verbose, nor in arguments of programs, tracebacks, the store or an image.

Every secret carries a mark, which is looked for plainly, as base64, and inside compressed files.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import traceback
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipml.errors import TryAgainError
from shipml.registry.client import RegistryClient
from shipml.registry.credentials import Credentials
from shipml.registry.keychain import GivenKeychain
from shipml.registry.transport import RetryPolicy
from shipml.store import Store
from tests.peers.azure_cloud import AzureCloud
from tests.peers.engine import run
from tests.peers.hub import Hub
from tests.peers.marks import MARK, find_marks
from tests.peers.registry import Registry, start_registry
from tests.runtimes.images import shell_image

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PASSWORD = f"{MARK}-registry-password"
HTPASSWD = "ann:$2b$04$6tmGzEzBQ3fq2QB6r8j1KeSPtsmlvjJalD/dmHE4vKTevigxcix56\n"
WRONG = f"{MARK}-wrong-password"
RUNNER = Path(__file__).with_name("secrets_runner.py")

WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        with open(os.environ["ARGV_LOG"], "a") as log:
            log.write(repr(arguments[:2]) + "\\n")
sys.addaudithook(watch)
"""
"""Writes down what every program is started with, by every Python below."""

HELPER = """#!/bin/sh
case "$1" in
  store) cat > "$HOME/kept-by-helper" ;;
  get) cat > /dev/null; cat "$HOME/kept-by-helper" 2>/dev/null || { echo "credentials not found"; exit 1; } ;;
  erase) cat > /dev/null; rm "$HOME/kept-by-helper" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command, and how it must end."""

    words: str
    exit_code: int = 0
    stdin: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    crash: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the runner."""
        document = {"words": self.words.split(), "stdin": self.stdin, "environment": dict(self.environment)}
        return document | ({"crash": self.crash} if self.crash else {})


class Machine:
    """A user's machine on which everything is written down."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = self.home / "iris"
        self.project.mkdir(parents=True)
        self._elsewhere = {self.project, self.home / "store" / "roots"}  # the latter has layers, unpacked
        self.argv_log = folder / "argv"
        self.argv_log.write_text("")
        (folder / "python").mkdir()
        (folder / "python" / "sitecustomize.py").write_text(WATCH)
        helper = folder / "bin" / "docker-credential-kept"
        helper.parent.mkdir()
        helper.write_text(HELPER)
        helper.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHIPML_", "DOCKER_"))}
        self.environment = {
            **kept,
            "HOME": str(self.home),
            "SHIPML_HOME": str(self.home / "store"),
            "DOCKER_HOST": f"unix://{folder}/no-engine",
            "PYTHONPATH": f"{folder}/python{os.pathsep}{RUNNER.parents[1]}",
            "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}",
            "ARGV_LOG": str(self.argv_log),
            "GITHUB_OUTPUT": str(self.home / "github-output"),
            "GITHUB_STEP_SUMMARY": str(self.home / "github-summary"),
        }

    def has_image(self) -> None:
        """Keep a small image as iris:latest."""
        store = Store(self.home / "store")
        store.tag("iris:latest", store.keep_image(shell_image("echo accuracy: 0.9")))
        store.close()

    def type(self, *commands: Typed) -> str:
        """Carry out commands; returns all that they printed, in which there is no secret."""
        script = self.home.parent / "commands.json"
        script.write_text(json.dumps([command.to_json() for command in commands]))
        done = subprocess.run(
            [sys.executable, RUNNER, script],
            capture_output=True,
            check=False,
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )
        shown = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, shown
        codes = json.loads(script.read_text())
        assert codes == [command.exit_code for command in commands], shown
        assert find_marks(done.stdout + done.stderr) == []
        return shown

    def leaks(self) -> list[str]:
        """Where a secret lies that should not: arguments of programs, and files below the home."""
        meant = {self.home / ".docker" / "config.json", self.home / "kept-by-helper"}
        found = [f"arguments: {mark}" for mark in find_marks(self.argv_log.read_bytes())]
        for folder, inner, names in os.walk(self.home):
            inner[:] = [name for name in inner if Path(folder, name) not in self._elsewhere]
            for path in {Path(folder, name) for name in names} - meant:
                found += [f"{path}: {mark}" for data in unpacked(path.read_bytes()) for mark in find_marks(data)]
        return found


def unpacked(data: bytes) -> Iterator[bytes]:
    """Data as it lies there, and what it is compressed from."""
    yield data
    if data.startswith(b"\x1f\x8b"):
        try:
            yield gzip.GzipFile(fileobj=io.BytesIO(data)).read()
        except (OSError, EOFError, zlib.error):
            return


def leaks_in_registry(reference: str, folder: Path, *options: str) -> list[str]:
    """Where a secret lies in an image as another program pulls it."""
    run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", *options, f"docker://{reference}", f"dir:{folder}"])
    files = [path for path in folder.iterdir() if path.is_file()]
    assert len(files) > 2
    return [
        f"{path.name}: {mark}" for path in files for data in unpacked(path.read_bytes()) for mark in find_marks(data)
    ]


def both(words: str, **more: Any) -> Sequence[Typed]:
    """A command, with all that it can say and with JSON."""
    return [Typed(f"{words} -v", **more), Typed(f"{words} --json", **more)]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine on which nothing leaks."""
    made = Machine(tmp_path)
    yield made
    assert made.leaks() == []


@pytest.fixture(scope="module")
def guarded() -> Iterator[Registry]:
    """A registry that lets ann in."""
    with start_registry(HTPASSWD) as started:
        yield started


def test_the_marks_are_found(tmp_path: Path) -> None:
    """What this file relies on: the mark is seen as it stands, in base64, and in a compressed file."""
    assert find_marks(PASSWORD)
    assert all(find_marks(part) for part in unpacked(gzip.compress(PASSWORD.encode())) if not part.startswith(b"\x1f"))
    made = Machine(tmp_path)
    made.argv_log.write_text(f"login --password {PASSWORD}")
    (made.home / "log").write_bytes(gzip.compress(PASSWORD.encode()))
    assert len(made.leaks()) == 2


def test_a_registry_with_a_password(machine: Machine, guarded: Registry, tmp_path: Path) -> None:
    """Login, refused and accepted; push, promotion and logout; credentials from the file and from the environment."""
    machine.has_image()
    host = guarded.host
    (machine.project / "shipml.toml").write_text(
        f'[environments.int]\nregistry = "{host}"\nrepository = "int/iris"\ntag = "1"\n'
        f'[environments.prod]\nregistry = "{host}"\nrepository = "prod/iris"\ntag = "1"\n'
    )
    wrong = (("SHIPML_USERNAME", "ann"), ("SHIPML_PASSWORD", WRONG))
    right = (("SHIPML_USERNAME", "ann"), ("SHIPML_PASSWORD", PASSWORD))
    login = f"login {host} --username ann --password-stdin"
    shown = machine.type(
        *both(login, exit_code=4, stdin=WRONG),
        *both(f"push iris {host}/int/iris:1", exit_code=4, environment=wrong),
        *both(f"push iris {host}/int/iris:1", environment=right),
        *both(login, stdin=PASSWORD),
        *both(f"push iris {host}/int/iris:2"),
        *both("promote --from int --to prod"),
        Typed("promote --rollback --to prod", 2),
        *both("inspect iris"),
        *both(f"logout {host}"),
        *both(f"push iris {host}/int/iris:3", exit_code=4),
    )
    assert f"for {host}" in shown
    assert leaks_in_registry(f"{host}/prod/iris:1", tmp_path / "pulled", "--src-creds", f"ann:{PASSWORD}") == []


def test_a_credential_helper(machine: Machine, guarded: Registry) -> None:
    """A helper gets the password through its stdin, and no file of docker's holds it."""
    machine.has_image()
    config = machine.home / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text('{"credsStore": "kept"}')
    machine.type(
        Typed(f"login {guarded.host} --username ann --password-stdin -v", stdin=PASSWORD),
        Typed(f"push iris {guarded.host}/helper/iris:1 -v"),
    )
    assert find_marks(config.read_bytes()) == []
    assert "docker-credential-kept" in machine.argv_log.read_text()
    assert PASSWORD in (machine.home / "kept-by-helper").read_text()
    machine.type(Typed(f"logout {guarded.host} -v"))
    assert not (machine.home / "kept-by-helper").exists()


def test_a_fault_of_our_own(machine: Machine, guarded: Registry) -> None:
    """Tracebacks, on the screen with -v and in the log that is kept, show no credentials."""
    machine.has_image()
    login = Typed(f"login {guarded.host} --username ann --password-stdin", stdin=PASSWORD)
    push = f"push iris {guarded.host}/crash/iris:1 --no-smoke -v"
    shown = machine.type(
        login,
        Typed(push, 1, crash="shipml.registry.client:RegistryClient.put_manifest"),
        Typed(push, 1, crash="shipml.registry.token_service:TokenService.token"),
        Typed(push, 1, crash="shipml.registry.transport:Transport.send"),
    )
    assert "Traceback" in shown
    assert list((machine.home / "store" / "logs").iterdir())


def test_docker_hub(machine: Machine, hub_service: Hub) -> None:
    """Access tokens and the tokens that the Hub issues for them show nowhere, whether the Hub refuses or not."""
    machine.has_image()
    machine.environment |= hub_service.environment()
    strict, demo = hub_service.accounts[1].password, hub_service.read_write
    machine.type(
        *both("login hub --username strict --password-stdin", exit_code=4, stdin=strict),
        *both("login hub --username demo --password-stdin", stdin=demo),
        *both("push iris --registry hub --tag secrets"),
        *both("push iris other/iris:1", exit_code=4),
        Typed("promote demo/iris:secrets --to demo/iris:prod -v"),
        *both("logout hub"),
    )


def test_azure(machine: Machine, azure_cloud: AzureCloud) -> None:
    """Client secrets, Entra's tokens and the registries' show nowhere; az gets none in its arguments."""
    machine.has_image()
    machine.environment |= azure_cloud.environment("developer")
    push = "push iris --registry acr --name demoint --repository secrets/iris --tag 1"
    machine.type(
        *both(push),
        *both("login acr --name demoint"),
        Typed("promote demoint.azurecr.io/secrets/iris:1 --to demoprod.azurecr.io/secrets/iris:1 -v"),
        *both("logout acr --name demoint"),
    )
    machine.environment |= azure_cloud.environment("nobody")
    machine.type(*both(push, exit_code=4))


@pytest.mark.broken_images  # the base's layer stays in its registry
def test_a_project_with_secrets(machine: Machine, hub: Registry, tmp_path: Path) -> None:
    """What lies in a project folder or its environment is in no layer, label, plan or Dockerfile of the image."""
    project = machine.project
    (project / "app.py").write_text("import os\nprint('accuracy: 0.9')\n")
    (project / "requirements.txt").write_text("")
    (project / ".env").write_text(f"TOKEN={MARK}-in-env\n")
    (project / "id_rsa").write_text(f"{MARK}-key\n")
    (project / ".netrc").write_text(f"machine example.org password {MARK}-netrc\n")
    (project / "shipml.toml").write_text(
        f'name = "iris"\nbase = "{hub.host}/library/python:3.11-slim"\n'
        f'[registries.lab]\nhost = "{hub.host}"\nrepository = "secrets/project"\n'
    )
    for words in (
        ["init", "--quiet"],
        ["add", "app.py", "requirements.txt"],
        ["-c", "user.name=ann", "-c", "user.email=ann@example.org", "commit", "--quiet", "-m", "one"],
        ["remote", "add", "origin", f"https://ann:{MARK}-git@example.org/iris.git"],
    ):
        run(["git", "-C", str(project), *words])
    machine.environment |= {
        "UV_DEFAULT_INDEX": f"http://ann:{MARK}-index@127.0.0.1:9/simple",
        "MY_TOKEN": f"{MARK}-variable",
    }
    machine.type(
        *both("plan"),
        Typed("dockerfile"),
        Typed("ship --tag 1 -v"),
        Typed("ship --tag 1 --json"),
        *both("inspect iris"),
    )
    assert leaks_in_registry(f"{hub.host}/secrets/project:1", tmp_path / "pulled") == []
    (project / "requirements.txt").write_text("nothing-of-this-name==1\n")
    machine.environment |= {"UV_HTTP_RETRIES": "0"}
    machine.type(Typed("plan -v", 75))


def test_a_proxy_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the proxy does not answer, neither the error nor its traceback shows the proxy's password or ours."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://ann:{MARK}-proxy@127.0.0.1:9")
    given = GivenKeychain("r.example.org", Credentials("the test", "ann", PASSWORD))
    client = RegistryClient("r.example.org", given, retry=RetryPolicy(attempts=1))
    with pytest.raises(TryAgainError) as caught:
        client.ping()
    shown = "".join(traceback.format_exception(caught.value))
    assert find_marks(f"{shown} {caught.value.message} {caught.value.hint} {client!r} {given!r}") == []
