"""Requests of the user's: stated in the settings, kept with the image, or typed; the answer is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Project, Run

pytestmark = [pytest.mark.network, pytest.mark.slow]

SERVER = """\
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"home")

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/die":
            print("Traceback (most recent call last):\\nFileNotFoundError: [Errno 2] No such file or directory:"
                  " 'm.bin'", file=sys.stderr, flush=True)
            os._exit(7)
        if self.headers["X-Key"] != os.environ.get("KEY", ""):
            return self.answer(401, b"no")
        if "multipart" in self.headers["Content-Type"]:
            return self.answer(200, sent)
        self.answer(200, json.dumps({"doubled": [2 * one for one in json.loads(sent)["x"]]}).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
SETTINGS = """\
[[smoke.request]]
path = "/predict"
json = { x = [1, 2.5] }
headers = { X-Key = "${KEY}" }
expect = { doubled = [2, 5] }
[[smoke.request]]
path = "/predict"
file = "samples/one.json"
headers = { X-Key = "${KEY}" }
expect = "6"
"""


def test_requests_of_the_settings_and_of_the_command_line(
    shipml: Run, shared_home: Path, make_project: Project, tmp_path: Path
) -> None:
    """They travel with the image, need their variables, and what fails is named with what was asked."""
    files = {"app.py": SERVER, "shipml.toml": SETTINGS, "samples/one.json": '{"x": [3]}', ".dockerignore": "samples\n"}
    folder = str(make_project(files, name="predicts"))
    home = {"SHIPML_HOME": str(shared_home)}
    assert shipml("build", folder, env=home).returncode == 0

    assert shipml("run", folder, env=home).returncode == 2  # KEY is set nowhere
    passed = shipml("run", folder, "-e", "KEY=abcdef", "--json", env=home)
    assert passed.returncode == 0, passed.stderr
    checks = json.loads(passed.stdout)["checks"]
    assert [(one["what"], one["passed"]) for one in checks] == [("POST /predict", True)] * 2

    def ask(*words: str) -> tuple[int, str]:
        done = shipml("run", folder, "-e", "KEY=abcdef", *words, env=home)
        return done.returncode, done.stderr

    sample = tmp_path / "sample.txt"
    sample.write_text("a sample of ours")
    key = ("--header", "X-Key: ${KEY}")
    assert ask("--predict", "/predict", *key, "--form", f"f=@{sample}", "--answer", "a sample of")[0] == 0
    assert ask("--predict", "/predict", "--data", '{"x": [1]}', "--status", "401")[0] == 0
    code, said = ask("--predict", "/predict", *key, "--data", '{"x": [1]}', "--answer", '{"doubled": [3]}')
    assert (code, "$.doubled[0]" in said) == (3, True)
    code, said = ask("--predict", "/die", "--data", "{}")
    assert (code, "exit code 7" in said, "m.bin is not in the project" in said) == (3, True, True)


@pytest.mark.parametrize(
    "words",
    [("--data", "{}"), ("--predict", "predict"), ("--predict", "/p", "--header", "x"), ("--predict", "BREW /p")],
)
def test_a_request_that_cannot_be_meant(shipml: Run, words: tuple[str, ...]) -> None:
    """It is refused before anything is run."""
    assert shipml("run", *words).returncode == 2
