"""Programs that fail in known ways: the hint names the cause, and carried out it helps."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipml import PlanRequest, Shipml
from shipml.cli.app import run as run_line

pytestmark = [pytest.mark.network, pytest.mark.slow]

PROGRAM = """\
import http.server, os, signal, socket, sqlite3, subprocess, sys

def listen(port):
    server = socket.create_server(("0.0.0.0", port))
    return server

def main(kind):
    if kind == "variable":
        print("port", int(os.environ["APP_LIMIT"]))
    elif kind == "optional variable":
        print("port", int(os.getenv("APP_LIMIT")))
    elif kind == "write":
        open("/opt/out.csv", "w")
    elif kind == "database":
        sqlite3.connect("/opt/app.db").execute("create table t (x)")
    elif kind == "elsewhere":
        open("weights.bin")
    elif kind == "case":
        open("Src/weights.bin")
    elif kind == "shell":
        subprocess.run("echo x", shell=True, check=True)
    elif kind == "program":
        subprocess.run(["ffmpeg", "-version"], check=True)
    elif kind == "twice":
        first, second = listen(8080), listen(8080)
    elif kind == "service":
        socket.create_connection(("127.0.0.1", 5432))
    elif kind == "host":
        socket.create_connection(("db.example.org", 5432))
    elif kind == "memory":
        bytearray(300 << 20)
    elif kind == "serve":
        http.server.HTTPServer((sys.argv[2], 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
    elif kind == "module":
        import helper
    elif kind == "signal":
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))

main(sys.argv[1])
"""

Fails = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def folder(shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project for all of them, built."""
    made = tmp_path_factory.mktemp("diagnosis") / "fails"
    (made / "src").mkdir(parents=True)
    (made / "src" / "weights.bin").write_text("x")
    (made / "src" / "helper.py").write_text("")
    (made / "app.py").write_text(PROGRAM)
    with Shipml(home=shared_home) as session:
        session.build(PlanRequest(folder=made), load=False, check=False)
    return made


@pytest.fixture
def fails(
    folder: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Fails:
    """Runs the program with words, in the image, by the command line; returns exit code and document."""
    monkeypatch.setenv("SHIPML_HOME", str(shared_home))

    def run(*words: str, options: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        code = run_line(["run", str(folder), "--json", *options, "--", "python", "app.py", *words])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("optional variable",), "-e APP_LIMIT="),
        (("write",), 'open("/tmp/out.csv", "w")'),
        (("database",), "/tmp/app.db"),
        (("elsewhere",), '"src/weights.bin"'),
        (("case",), "the image has src/weights.bin"),
        (("shell",), "--with-shell"),
        (("program",), 'system-packages = ["ffmpeg"]'),
        (("twice",), "twice"),
        (("service",), "--network"),
        (("host",), "--network"),
        (("module",), 'PYTHONPATH = "/app/src"'),
        (("signal", "SIGILL"), "another CPU"),
        (("signal", "SIGABRT"), "PYTHONFAULTHANDLER"),
        (("signal", "SIGBUS"), "--shm-size"),
        (("signal", "SIGFPE"), "divided by zero"),
        (("signal", "SIGSEGV"), "PYTHONFAULTHANDLER"),
        (("signal", "SIGKILL"), "--memory"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_failure_has_its_own_hint(fails: Fails, words: tuple[str, ...], expected: str) -> None:
    """What failed decides on the hint, and the hint names the image as it was typed."""
    code, document = fails(*words)
    hint = document["error"]["hint"]
    assert (code, expected in hint, "IMAGE" in hint) == (3, True, False)


def test_a_hint_carried_out_helps(fails: Fails, folder: Path) -> None:
    """A variable, and more memory, are given as the hint says: then the program gets further."""
    code, document = fails("variable")
    typed = shlex.split(document["error"]["hint"].partition("shipml run ")[2].partition(";")[0])
    assert (code, typed[0], typed[1:]) == (3, str(folder), ["-e", "APP_LIMIT=…"])
    assert fails("variable", options=("-e", "APP_LIMIT=5"))[0] == 0
    code, document = fails("memory", options=("--memory", "200m"))
    assert (code, "--memory 400m" in document["error"]["hint"]) == (3, True)
    assert fails("memory", options=("--memory", "400m"))[0] == 0


def test_a_server_that_nobody_took_for_one(fails: Fails) -> None:
    """Still running at the limit: the socket table says where it listens, and asked as the hint says, it passes."""
    code, document = fails("serve", "0.0.0.0", options=("--timeout", "2"))
    assert (code, "listens at 0.0.0.0:8080:" in document["error"]["hint"]) == (3, True)
    assert "--http /" in document["error"]["hint"]
    assert fails("serve", "0.0.0.0", options=("--http", "/"))[0] == 0
    code, document = fails("serve", "127.0.0.1", options=("--timeout", "2"))
    assert (code, "127.0.0.1:8080 only" in document["error"]["hint"]) == (3, True)
