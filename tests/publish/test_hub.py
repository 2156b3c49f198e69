"""Docker Hub, with the stand-in: who is let in, what may be pushed, and what to do about a refusal."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.errors import NotAllowedError, TryAgainError
from shipml.oci.reference import Reference
from shipml.publish.hub import explain
from shipml.registry.credentials import Credentials
from shipml.store import Store
from tests.peers.forked import SHIPML, run_forked
from tests.peers.hub import Hub
from tests.peers.marks import find_marks
from tests.runtimes.images import shell_image

ANN = Credentials("the test", "ann", "secret")
APP = Reference.parse("ann/app:1")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("said", "reference", "credentials", "hint"),
    [
        ("denied: requested access to the resource is denied", APP, Credentials(), "shipml login hub"),
        ("denied: requested access to the resource is denied", APP, ANN, "the token must allow Read & Write"),
        ("denied: requested access", Reference.parse("team/app:1"), ANN, "push as ann/app, or let an owner of team"),
        ("your account must log in with a Personal Access Token (PAT)", APP, ANN, "--username ann"),
        ("unauthorized: incorrect username or password", Reference("docker.io", ""), ANN, "Docker ID"),
    ],
)
def test_refusals(said: str, reference: Reference, credentials: Credentials, hint: str) -> None:
    """Each of Docker Hub's refusals has something to do about it, which depends on who asks for what."""
    assert hint in explain(NotAllowedError("refused", said=said), reference, credentials)


def test_limits() -> None:
    """Who is not logged in is told that this raises the limit; other errors get no hint of Docker Hub's."""
    limited = TryAgainError("refused", said="toomanyrequests: You have reached your pull rate limit.")
    assert "shipml login hub" in explain(limited, APP, Credentials())
    assert "wait" in explain(limited, APP, ANN)
    assert explain(TryAgainError("500"), APP, ANN) == ""


@pytest.fixture
def shipml(hub_service: Hub, tmp_path: Path) -> Run:
    """Runs the command line on a machine that finds the stand-in as Docker Hub; nothing that it prints is a secret."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHIPML_", "DOCKER_"))}
    own = {"HOME": str(tmp_path), "SHIPML_HOME": str(tmp_path / "store"), "DOCKER_HOST": f"unix://{tmp_path}/no-engine"}
    store = Store(tmp_path / "store")
    store.tag("iris:latest", store.keep_image(shell_image("echo accuracy: 0.9")))
    store.close()

    def run(*words: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**kept, **own, **hub_service.environment(), **more}
        done = run_forked([SHIPML, *words], stdin=stdin, environment=environment, folder=tmp_path)
        assert find_marks(done.stdout + done.stderr) == []
        return done

    return run


@pytest.mark.engine
@pytest.mark.slow
def test_login_push_logout(shipml: Run, hub_service: Hub) -> None:
    """A token logs in, the user's namespace is filled in, a re-push uploads nothing, and after logout nothing works."""
    done = shipml("login", "hub", "-u", "demo", "--password-stdin", stdin=hub_service.read_write)
    assert (done.returncode, done.stdout) == (0, "docker.io\n"), done.stderr
    pushed = shipml("push", "iris", "--registry", "hub", "--tag", "1")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout == f"demo/iris@{hub_service.place('demo/iris').digest('1')}\n"
    assert "accuracy: 0.9" in pushed.stderr
    again = json.loads(shipml("push", "iris", "--registry", "hub", "--tag", "1", "--json").stdout)
    assert (again["uploaded_bytes"], again["smoke"]) == (0, "passed before")
    foreign = shipml("push", "iris", "other/app:1")
    assert foreign.returncode == 4
    assert "push as demo/app" in foreign.stderr
    assert shipml("logout", "hub").returncode == 0
    nobody = shipml("push", "iris", "demo/iris:2")
    assert (nobody.returncode, "shipml login hub" in nobody.stderr) == (4, True), nobody.stderr


@pytest.mark.engine
@pytest.mark.parametrize(
    ("username", "password", "hint"),
    [
        ("strict", "of the account", "make a token with Read & Write"),
        ("demo", "wrong", "Docker ID, and an access token"),
    ],
)
def test_whom_the_hub_refuses(shipml: Run, hub_service: Hub, username: str, password: str, hint: str) -> None:
    """A password where a token is demanded, and a wrong one: exit code 4 and what to do, and nothing is kept."""
    secret = hub_service.accounts[1].password if password == "of the account" else password
    done = shipml("login", "hub", "-u", username, "--password-stdin", stdin=secret)
    assert done.returncode == 4
    assert hint in done.stderr
    assert shipml("logout", "hub", "--json").stdout.count('"found": false') == 1


@pytest.mark.engine
def test_a_token_that_may_only_read(shipml: Run, hub_service: Hub) -> None:
    """A read-only token logs in; the push says which right the token lacks."""
    assert shipml("login", "hub", "-u", "demo", "--password-stdin", stdin=hub_service.read_only).returncode == 0
    done = shipml("push", "iris", "demo/iris:3", "--no-smoke")
    assert (done.returncode, "Read & Write" in done.stderr) == (4, True), done.stderr
