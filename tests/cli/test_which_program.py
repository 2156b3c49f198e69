"""Which of several programs is run, as users see it."""

from __future__ import annotations

import json
import os
import pty
import select
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Project, Run

JOBS = {
    "fit_it.py": 'print("fit")\n',
    "score_it.py": 'print("score")\n',
    "use.py": "import left\n",
    "left.py": "x = 1\n",
}


def test_on_a_terminal_it_is_asked_and_said_how_to_keep_the_answer(
    clean_environment: dict[str, str], make_project: Project
) -> None:
    """The answer decides, and what is written for the settings is what runs it; in CI nobody is asked."""
    folder = make_project(JOBS)
    words = ["plan", str(folder), "--base", "debian:none", "--progress", "plain"]
    asked = _on_terminal(words, clean_environment | {"CI": ""}, b"2\n")
    assert "fit_it.py" in asked
    assert 'command = "python fit_it.py"' in asked
    in_ci = _on_terminal(words, clean_environment | {"CI": "true"}, b"")
    assert "[1-" not in in_ci
    assert 'command = "python' in in_ci


def _on_terminal(words: list[str], environment: dict[str, str], answer: bytes) -> str:
    """All that a command prints on a terminal where somebody types `answer`."""
    process, terminal = pty.fork()
    if process == 0:
        program = str(Path(sys.executable).with_name("shipml"))
        os.execve(program, [program, *words], environment)  # noqa: S606
    os.write(terminal, answer)
    seen = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            seen += os.read(terminal, 4096)
        except OSError:  # the program ended
            break
    os.waitpid(process, 0)
    os.close(terminal)
    return " ".join(seen.decode(errors="replace").split())


def test_without_a_terminal_the_likeliest_is_taken_and_the_others_are_named(shipml: Run, make_project: Project) -> None:
    """A warning with the line for the settings; with it there is none; `--strict` wants that line."""
    folder = make_project(JOBS)
    words = ("plan", str(folder), "--base", "debian:none")
    warned = shipml(*words)
    assert "warning" in warned.stderr
    setting = warned.stderr.partition("what to run: ")[2].splitlines()[0]
    assert setting.startswith('command = "python ')
    strict = json.loads(shipml(*words, "--strict", "--json").stdout)["error"]
    assert strict["kind"] == "plan"
    assert setting in strict["hint"]
    (folder / "shipml.toml").write_text(setting + "\n")
    assert "several programs" not in shipml(*words).stderr


@pytest.mark.parametrize(
    ("readme", "because"), [("python fit_it.py", "README.md:2"), ("Nothing to see here: python is nice", "")]
)
def test_what_the_readme_runs_is_tried_and_no_other_script(
    shipml: Run, make_project: Project, readme: str, because: str
) -> None:
    """A script that is not run may import what nobody can install: that stops no plan, and is said."""
    folder = make_project({**JOBS, "other.py": "import nowhere_to_be_found\n", "README.md": f"```\n{readme}\n```\n"})
    told = shipml("plan", str(folder), "--base", "debian:none").stderr
    assert ("several programs" in told) == (not because)
