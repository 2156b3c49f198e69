"""`shipml shell`, on pipes and on a terminal."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Project, Run

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def image(shipml: Run, shared_home: Path, make_project: Project) -> str:
    """A built project's name; it has no shell."""
    folder = make_project({"app.py": 'print("hello")\n', "data.txt": "one\ntwo\n"}, name="shown")
    built = shipml("build", str(folder), env={"SHIPML_HOME": str(shared_home)})
    assert built.returncode == 0, built.stderr
    return "shown"


def test_a_command(shipml: Run, shared_home: Path, image: str) -> None:
    """Tools that the image lacks work on its files as its user; exit codes come through, and nothing is changed."""
    home = {"SHIPML_HOME": str(shared_home)}
    script = "wc -l < data.txt; id -u; echo $MINE"
    counted = shipml("shell", image, "-e", "MINE=yes", "--", "sh", "-c", script, env=home)
    assert (counted.returncode, counted.stdout) == (0, "2\n65532\nyes\n"), counted.stderr
    assert shipml("shell", image, "--", "sh", "-c", "echo x > /tmp/x; exit 7", env=home).returncode == 7
    assert shipml("shell", image, "--", "ls", "/tmp/x", env=home).returncode == 1
    assert shipml("shell", image, "--", "python", "app.py", env=home).stdout == "hello\n"
    assert shipml("shell", image, "--", "no-such-program", env=home).returncode == 1
    assert shipml("shell", "no-such-image", env=home).returncode == 2


def test_on_a_terminal(clean_environment: dict[str, str], shared_home: Path, image: str) -> None:
    """There is a prompt, Ctrl-C interrupts what runs and not the shell, and `exit` gives its code."""
    process, terminal = pty.fork()
    if process == 0:
        program = str(Path(sys.executable).with_name("shipml"))
        os.execve(program, [program, "shell", image], {**clean_environment, "SHIPML_HOME": str(shared_home)})  # noqa: S606
    seen = ""

    def wait_for(text: str) -> None:
        nonlocal seen
        while text not in seen:
            assert select.select([terminal], [], [], 30)[0], seen
            seen += os.read(terminal, 4096).decode(errors="replace")
        seen = seen.partition(text)[2]

    wait_for("$ ")
    os.write(terminal, b"tty; sleep 100\n")
    time.sleep(1)
    os.write(terminal, b"\x03")
    wait_for("$ ")
    os.write(terminal, b"echo $((40 + 2)) >&2; wc -l data.txt\n")
    wait_for("\n42")
    wait_for("2 data.txt")
    os.write(terminal, b"exit 5\n")
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 5
