"""Finding an engine, or the reason why there is none, in no time."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shipml.docker_engine import Engine, connect
from shipml.docker_engine.endpoint import endpoints
from shipml.errors import NotAllowedError, ShipmlError, UnavailableError
from tests.peers.engine import Engine as PeerEngine

_LIMIT_SECONDS = 0.3
_FAR_TOO_LONG_SECONDS = 5.0


@contextmanager
def _silent(address: str | tuple[str, int]) -> Iterator[socket.socket]:
    """A listener that accepts (the kernel does it) and never answers."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        yield listener


@contextmanager
def _answering(document: object, status: int = 200) -> Iterator[str]:
    """An HTTP server that gives `document` to every question; yields its DOCKER_HOST."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


def _refusal(host: str, **environment: str) -> ShipmlError:
    begun_at = time.monotonic()
    with pytest.raises(ShipmlError) as caught:
        connect(environment={"DOCKER_HOST": host, **environment}, timeout_seconds=_LIMIT_SECONDS)
    assert time.monotonic() - begun_at < _FAR_TOO_LONG_SECONDS
    return caught.value


def test_a_socket_that_never_answers(tmp_path: Path) -> None:
    """A socket that accepts and stays silent is given up at the time limit."""
    with _silent(str(tmp_path / "s")):
        error = _refusal(f"unix://{tmp_path / 's'}")
    assert isinstance(error, UnavailableError)
    assert f"does not answer within {_LIMIT_SECONDS} s" in error.message


def test_a_host_that_never_answers() -> None:
    """The same over TCP."""
    with _silent(("127.0.0.1", 0)) as listener:
        error = _refusal(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    assert "does not answer within" in error.message


def test_no_engine_at_a_socket(tmp_path: Path) -> None:
    """A missing socket means that no engine runs there; the way back from DOCKER_HOST is named."""
    error = _refusal(f"unix://{tmp_path / 'none'}")
    assert isinstance(error, UnavailableError)
    assert "no Docker Engine is running" in error.message
    assert "unset DOCKER_HOST" in error.hint


def test_an_engine_that_was_stopped(tmp_path: Path) -> None:
    """A socket that nobody listens at any more says how to start the engine."""
    with _silent(str(tmp_path / "podman.sock")):
        pass
    error = _refusal(f"unix://{tmp_path / 'podman.sock'}")
    assert "no Docker Engine is running" in error.message
    assert "systemctl --user start podman.socket" in error.hint


def test_an_api_too_old() -> None:
    """An engine before 20.10 is named with its version, and what to do."""
    with _answering({"Version": "18.09.1", "ApiVersion": "1.39", "MinAPIVersion": "1.12"}) as host:
        error = _refusal(host)
    assert "18.09.1" in error.message
    assert "too old" in error.message
    assert "upgrade Docker" in error.hint


def test_an_api_too_new() -> None:
    """An engine that no longer speaks what this shipml speaks asks for a newer shipml."""
    with _answering({"Version": "40.0", "ApiVersion": "1.99", "MinAPIVersion": "1.90"}) as host:
        error = _refusal(host)
    assert "too new" in error.message
    assert "upgrade shipml" in error.hint


def test_a_newer_api_is_spoken_in_the_newest_version_that_is_known() -> None:
    """An engine that is newer than this shipml is asked in the newest version that both know."""
    with (
        _answering({"Version": "40.0", "ApiVersion": "1.99", "MinAPIVersion": "1.44"}) as host,
        connect(environment={"DOCKER_HOST": host}) as engine,
    ):
        assert engine.api_version == "1.52"


@pytest.mark.parametrize("document", [{}, [], {"ApiVersion": "new"}, "text"])
def test_what_answers_is_no_engine(document: object) -> None:
    """Another server at that port is not taken for an engine."""
    with _answering(document) as host:
        assert "not a Docker Engine" in _refusal(host).message


def test_an_unknown_ssh_host_is_given_up() -> None:
    """A host that ssh cannot reach is given up at the time limit, with the command to try by hand."""
    with _silent(("127.0.0.1", 0)) as listener:
        error = _refusal(f"ssh://ann@127.0.0.1:{listener.getsockname()[1]}")
    assert isinstance(error, UnavailableError)
    assert "docker version" in error.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_no_right_on_the_socket() -> None:
    """A socket of another user is a matter of rights, not of availability; the group is named."""
    script = (
        "import os, sys; from shipml.docker_engine import connect\n"
        "import shipml.docker_engine.sdk, docker, docker.tls, requests\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "from shipml.errors import NotAllowedError\n"
        "try: connect(environment={'DOCKER_HOST': sys.argv[1]})\n"
        "except NotAllowedError as error: print(error.hint)"
    )
    # Not in tmp_path: pytest closes its folders to other users whenever another run starts.
    with tempfile.TemporaryDirectory(prefix="shipml-test-") as name, _silent(f"{name}/s"):
        Path(name).chmod(0o755)
        Path(name, "s").chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", script, f"unix://{name}/s"], capture_output=True, text=True, check=False
        )
    assert "usermod -aG docker" in done.stdout, done.stderr
    assert NotAllowedError.exit_code == 4


@pytest.mark.skipif(bool(endpoints({}, Path("/nowhere"))), reason="this machine has an engine of its own")
def test_nothing_anywhere(tmp_path: Path) -> None:
    """Where no socket exists, the error says how to work without an engine."""
    with pytest.raises(UnavailableError) as caught:
        connect(environment={}, home=tmp_path)
    assert "install or start Docker" in caught.value.hint


@pytest.mark.engine
def test_the_first_engine_that_answers_is_taken(docker_20: PeerEngine, tmp_path: Path) -> None:
    """A dead socket does not hide a living engine further down the list."""
    folder = tmp_path / "r"
    folder.mkdir()
    with _silent(str(folder / "docker.sock")):
        pass
    (tmp_path / ".colima/default").mkdir(parents=True)
    (tmp_path / ".colima/default/docker.sock").symlink_to(docker_20.socket)
    with connect(environment={"XDG_RUNTIME_DIR": str(folder)}, home=tmp_path) as engine:
        assert engine.endpoint.kind == "colima"


@pytest.mark.engine
@pytest.mark.feature("connect: by ssh")
def test_an_engine_behind_ssh(docker_20: PeerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh:// runs `docker system dial-stdio` on the other side, through the user's own ssh program.

    The ssh here is a script that runs the remote command on this machine.
    """
    ssh = tmp_path / "ssh"
    asked = tmp_path / "asked"
    ssh.write_text(
        f'#!/bin/sh\necho "$@" >> {asked}\nwhile [ "$1" != -- ]; do shift; done\nshift 2\n'
        f'export DOCKER_HOST={shlex.quote(docker_20.host)}\nexec "$@"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with connect(environment={"DOCKER_HOST": "ssh://ann@build.example.org:2222"}, timeout_seconds=10) as engine:
        assert engine.version == docker_20.version
        assert engine.image_ids() is not None
    words = asked.read_text().splitlines()[0]
    assert "-l ann -p 2222 -- build.example.org docker system dial-stdio" in words


@pytest.mark.engine
@pytest.mark.feature("connect: what the engine is")
def test_what_an_engine_is(engine: Engine) -> None:
    """Version, store, platform and BuildKit of each engine are known."""
    assert engine.is_podman == ("podman" in engine.endpoint.url)
    assert engine.store_kind == ("containerd" if "containerd" in engine.endpoint.url else "graph")
    assert engine.has_buildkit != engine.is_podman
    assert engine.platform.os == "linux"
    assert engine.version[0].isdecimal()
