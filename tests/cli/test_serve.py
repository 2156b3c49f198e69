"""`shipml serve`, with browsers of several kinds at its port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Project, Run

pytestmark = [pytest.mark.network, pytest.mark.slow]

SERVER = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            import time
            time.sleep(2)
        body = f"ANSWER {os.environ.get('MODE')} {os.path.exists('/.dockerenv')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_ECHO(self):
        self.connection.sendall(b"raw\\n")
        while data := self.connection.recv(65536):
            self.connection.sendall(data)
        self.close_connection = True

print("log line", flush=True)
http.server.ThreadingHTTPServer(("ADDRESS", 8000), Handler).serve_forever()
"""
SETTINGS = 'command = "python app.py"\n'


class Serving:
    """A `shipml serve` in the background."""

    def __init__(self, words: list[str], environment: dict[str, str], cwd: Path) -> None:
        program = Path(sys.executable).with_name("shipml")
        self.process = subprocess.Popen(
            [program, "serve", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=cwd,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def url(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line, "".join(self.lines)
        return line

    def close(self) -> None:
        self.process.wait()
        self._reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            stream.close()

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)

    @property
    def text(self) -> str:
        return "".join(self.lines)


Serve = Callable[..., Serving]


@pytest.fixture
def serve(clean_environment: dict[str, str], shared_home: Path, tmp_path: Path) -> Iterator[Serve]:
    """Starts `shipml serve`, and ends it after the test."""
    started: list[Serving] = []

    def start(*words: str, **variables: str) -> Serving:
        environment = {**clean_environment, "SHIPML_HOME": str(shared_home), **variables}
        started.append(Serving(list(words), environment, tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.close()


def server(answer: str = "one", address: str = "0.0.0.0") -> str:
    """The program of a small server."""
    return SERVER.replace("ANSWER", answer).replace("ADDRESS", address)


def get(url: str) -> str:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (of loopback)
        text: str = answer.read().decode()
    return text


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_serving(shipml: Run, serve: Serve, shared_home: Path, make_project: Project) -> None:
    """It is reached at 127.0.0.1 by several at once and over any protocol, has its variables, and ends with 0."""
    folder = make_project({"app.py": server(), "shipml.toml": SETTINGS}, name="served")
    assert shipml("build", str(folder), env={"SHIPML_HOME": str(shared_home)}).returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = serve(str(folder), "-p", str(port), "-e", "MODE=fast")
    url = running.url()
    assert url == f"http://127.0.0.1:{port}/"
    slow = threading.Thread(target=get, args=(f"{url}slow",))
    slow.start()
    begun = time.monotonic()
    assert get(url) == "one fast False"
    assert time.monotonic() - begun < 1.5
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"ECHO / HTTP/1.1\r\n\r\n")
        assert raw.recv(100) == b"raw\n"
        for piece in (b"ping", b"x" * 300_000):
            raw.sendall(piece)
            back = b""
            while len(back) < len(piece):
                back += raw.recv(65536)
            assert back == piece
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(100) == b""
    slow.join()
    taken = serve(str(folder), "-p", str(port))
    assert taken.process.wait(30) == 2
    assert running.end() == 0
    assert "log line" in running.text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_watching(serve: Serve, make_project: Project) -> None:
    """A change is built and shown at the same address; what is broken leaves the old one up."""
    folder = make_project({"app.py": server("first", "127.0.0.1"), "shipml.toml": SETTINGS}, name="watched")
    running = serve(str(folder), "--watch")
    url = running.url()
    assert get(url).startswith("first")
    until(lambda: "127.0.0.1:8000" in running.text)
    (folder / "app.py").write_text("def broken(:\n")
    until(lambda: "app.py:1" in running.text)
    assert get(url).startswith("first")
    (folder / "app.py").write_text('raise SystemExit("no model")\n')
    until(lambda: "exit code 1" in running.text)
    assert get(url).startswith("first")
    (folder / "app.py").write_text(server("second"))
    assert running.url() == url
    assert get(url).startswith("second")
    assert running.end() == 0


def test_a_program_that_ends(shipml: Run, serve: Serve, shared_home: Path, make_project: Project) -> None:
    """What serves nothing is an error with the program's own reason."""
    folder = make_project({"app.py": "import os\nprint(os.environ['A_TOKEN'])\n"}, name="ending")
    assert shipml("build", str(folder), env={"SHIPML_HOME": str(shared_home)}).returncode == 0
    running = serve(str(folder))
    assert running.process.wait(60) == 3
    until(lambda: "hint:" in running.text)
    assert "-e A_TOKEN=" in running.text
