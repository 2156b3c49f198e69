from __future__ import annotations

import inspect
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shipml import errors
from tests.cli.conftest import PROGRAM, Run

ERRORS = [name for name in errors.__all__ if name != "ShipmlError"]
CODES = dict(re.findall(r"(\w+Error) +(\d+)  ", inspect.cleandoc(errors.__doc__ or "")))


@pytest.mark.parametrize("kind", ERRORS)
def test_each_error_ends_with_the_exit_code_that_the_tree_documents(program: Run, kind: str) -> None:
    """Every class ends the command with its own code, an error line and a hint line, and nothing on stdout."""
    done = program("fail", kind)
    assert done.returncode == int(CODES[kind]) == getattr(errors, kind).exit_code
    assert done.stderr == "error: it went wrong at https://***@example.org/x\nhint: do this\n"
    assert done.stdout == ""


@pytest.mark.parametrize("kind", ERRORS)
def test_each_error_is_one_json_document_on_stdout(program: Run, kind: str) -> None:
    """With --json the same is said as a document with kind, message, hint and exit code, without the password."""
    done = program("fail", kind, "--json")
    assert json.loads(done.stdout) == {
        "error": {
            "kind": getattr(errors, kind).kind,
            "message": "it went wrong at https://***@example.org/x",
            "hint": "do this",
            "exit_code": done.returncode,
        }
    }
    assert "error: " in done.stderr


def test_verbose_names_the_cause(program: Run) -> None:
    """-v adds what the library said underneath."""
    assert "caused by: OSError: the cause\n" in program("fail", "BuildError", "-v").stderr
    assert "caused by" not in program("fail", "BuildError").stderr


def test_a_fault_of_our_own_is_one_line_and_a_log(program: Run, tmp_path: Path) -> None:
    """An unexpected exception shows no traceback but says where it is; passwords and escapes are in neither."""
    done = program("crash")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("error: internal error (a bug in shipml): KeyError")
    (log,) = (tmp_path / "store" / "logs").iterdir()
    assert str(log) in second
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "program.py" in text
    assert "secret" not in text + done.stderr
    assert log.stat().st_mode & 0o777 == 0o600
    assert "\x1b" not in text + done.stderr


@pytest.mark.parametrize("name", ["SHIPML_PASSWORD", "AZURE_CLIENT_SECRET", "GITHUB_TOKEN"])
def test_the_log_has_no_value_of_a_secret_variable(program: Run, tmp_path: Path, name: str) -> None:
    """What the environment holds for services is in no log, also where the exception quotes it in base64."""
    program("crash", env={name: "https://me", "CRASH_WITH": name})
    (log,) = (tmp_path / "store" / "logs").iterdir()
    text = log.read_text()
    assert "KeyError" in text
    assert "https://me" not in text


def test_a_fault_of_our_own_with_verbose_and_json(program: Run) -> None:
    """-v shows the traceback at once; --json gives it the kind "internal"."""
    done = program("crash", "-v", "--json")
    assert "Traceback (most recent call last)" in done.stderr
    assert json.loads(done.stdout)["error"]["kind"] == "internal"


def test_a_fault_is_told_even_where_no_log_can_be_written(program: Run, tmp_path: Path) -> None:
    """A store that is a file costs the log, not the message."""
    (tmp_path / "store").write_text("in the way")
    done = program("crash")
    assert done.returncode == 1
    assert "hint: see the traceback with -v" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_130(clean_environment: dict[str, str], sent: signal.Signals) -> None:
    """Ctrl-C and kill end the command in order, with one error line."""
    with subprocess.Popen(
        [sys.executable, PROGRAM, "sleep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.startswith("error: interrupted\nhint: ")


def test_a_reader_that_leaves_is_no_failure(clean_environment: dict[str, str]) -> None:
    """`shipml … | head -1` ends with 0 and says nothing."""
    pipeline = f"set -o pipefail; {sys.executable} {PROGRAM} flood | head -1"
    done = subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, check=False, env=clean_environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "line 0\n", "")


def test_a_log_has_one_line_a_step(program: Run) -> None:
    """Without a terminal: a line when a step ends, warnings, words; data and the program's output on stdout."""
    done = program("talk")
    base, download, said, warning = sorted(done.stderr.splitlines())
    assert re.fullmatch(r"base      5 packages \(\d.\d\d s\)", base)
    assert re.fullmatch(r"download  3 wheels \(\d.\d\d s\)", download)
    assert said == "said"
    assert warning == "warning: an old mirror: http://***@example.org/"
    assert done.stdout == "accuracy: 1\ufffddata\n"
    assert "\x1b" not in done.stdout + done.stderr


def test_quiet_leaves_data_and_output(program: Run) -> None:
    """-q and --progress quiet say nothing on stderr."""
    for words in (["-q"], ["--progress", "quiet"]):
        done = program("talk", *words)
        assert done.stderr == ""
        assert done.stdout.endswith("data\n")


def test_verbose_says_more(program: Run) -> None:
    """-v adds details."""
    assert "detailed" in program("talk", "-v").stderr
    assert "detailed" not in program("talk").stderr


def test_json_keeps_stdout_for_the_document(program: Run) -> None:
    """With --json the output of the image's program goes to stderr too."""
    done = program("talk", "--json")
    assert json.loads(done.stdout) == {"answer": 42}
    assert "accuracy: 1" in done.stderr


def test_a_terminal_gets_a_live_display(clean_environment: dict[str, str]) -> None:
    """On a terminal running steps show amount and bar, both at once; ended ones stay as lines; colours are used."""
    shown = on_terminal(clean_environment, "talk")
    assert "1.50 MB of 3.00 MB" in shown
    assert re.search(r"\d of 5", shown)
    assert "\x1b[1m\x1b[33mwarning:" in shown or "\x1b[33m\x1b[1mwarning:" in shown
    lines = plain(shown)
    assert any(re.fullmatch(r"base      5 packages \(.*s\)", line) for line in lines)
    assert any(re.fullmatch(r"download  3 wheels \(.*s\)", line) for line in lines)
    assert "scipy\\x1b[31m" in shown


@pytest.mark.parametrize("style", ["tty", "plain"])
def test_words_are_wrapped_on_a_terminal(clean_environment: dict[str, str], style: str) -> None:
    """On a terminal no word is cut, and the lines after the first are indented to where its words begin."""
    shown = on_terminal(clean_environment | {"NO_COLOR": "1"}, "ramble", "--progress", style)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n")
    lines = [line.rstrip() for line in text.split("\n") if "word" in line]
    assert max(map(len, lines)) <= 100
    starts = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in starts] == ["note:", "word00", "resolve", "error:", "hint:"]
    for start in starts:
        following = lines[lines.index(start) + 1]
        indent = 2 if start.startswith("word") else start.index("word00")
        assert following[:indent].isspace()
        assert following[indent:].startswith("word")
    assert " ".join(lines).split().count("word39") == 5


def test_words_are_not_wrapped_in_a_pipe(program: Run) -> None:
    """Where nobody reads a screen, each sentence stays on one line, whatever COLUMNS says."""
    done = program("ramble", env={"COLUMNS": "60"})
    assert len(done.stderr.splitlines()) == 5


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(clean_environment: dict[str, str], variables: dict[str, str]) -> None:
    """NO_COLOR and TERM=dumb keep colours out, on a terminal too."""
    shown = on_terminal(clean_environment | variables, "talk")
    assert not re.search(r"\x1b\[(1;)?3\dm", shown)


def test_progress_plain_on_a_terminal(clean_environment: dict[str, str]) -> None:
    """--progress plain draws nothing that moves."""
    shown = on_terminal(clean_environment | {"NO_COLOR": "1"}, "talk", "--progress", "plain")
    assert "\x1b" not in shown


def on_terminal(environment: dict[str, str], *words: str) -> str:
    """What the program writes when stdout and stderr are a terminal of 100 columns."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, PROGRAM, *words],
        stdout=slave,
        stderr=slave,
        env={"TERM": "xterm-256color", **environment, "COLUMNS": "100", "LINES": "24"},
    ) as process:
        os.close(slave)
        seen = b""
        while select.select([master], [], [], 30)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux says so when the other side has closed
                break
            if not data:
                break
            seen += data
        process.wait(timeout=30)
    os.close(master)
    assert process.returncode == 0, seen
    return seen.decode(errors="replace")


def plain(shown: str) -> list[str]:
    """Lines without escape sequences."""
    return [line.strip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n").split("\n")]
