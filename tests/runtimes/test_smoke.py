from __future__ import annotations

import json
import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.errors import ConfigurationError
from shipml.facts.plan import SmokeCheck
from shipml.oci.digest import Digest
from shipml.runtimes.base import SmokeResult
from shipml.runtimes.smoke import (
    Ending,
    Judgement,
    OutputLog,
    judge,
)

_URL = "http://127.0.0.1:8080/"


def _log(text: str) -> OutputLog:
    log = OutputLog()
    log.feed("stdout", text.encode())
    return log


def _judge(check: SmokeCheck, ending: Ending, text: str = "") -> Judgement:
    return judge(check, ending, _log(text))


@pytest.mark.parametrize(
    ("line", "measures"),
    [
        ("accuracy: 0.97", {"accuracy": 0.97}),
        ("  Accuracy = 0.97  ", {"accuracy": 0.97}),
        ("Accuracy score: 97%", {"accuracy score": 0.97}),
        ("f1-score=1", {"f1-score": 1.0}),
        ("loss: -1.5e-3, improved", {"loss": -0.0015}),
        ("R2 (test): .5", {"r2 (test)": 0.5}),
        ("loss: nan", {"loss": math.nan}),
        ("auc: inf", {"auc": math.inf}),
        ("precision@10: 0.5", {"precision@10": 0.5}),
        ("started: 12:30:05", {}),
        ("version: 1.2.3", {}),
        ("date: 2026-11-21", {}),
        ("INFO:root:accuracy: 0.97", {}),
        ("accuracy 0.97", {}),
        ("accuracy: high", {}),
        ("12: 5", {}),
        ("", {}),
    ],
)
def test_measures(line: str, measures: dict[str, float]) -> None:
    """A line `NAME: NUMBER` or `NAME = NUMBER` is a measure, and nothing else is."""
    found = _judge(SmokeCheck(), Ending(0), line).measures
    assert list(found) == list(measures)
    assert all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(found.values(), measures.values(), strict=True)
    )


def test_last_value_counts() -> None:
    """Of a measure that is printed in each epoch, the last value counts; progress bars' carriage returns end lines."""
    assert _judge(SmokeCheck(), Ending(0), "acc: 0.1\nacc: 0.5\racc: 0.9\n").measures == {"acc": 0.9}


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(1, 9))))
def test_measures_do_not_depend_on_pieces(cuts: list[tuple[Literal["stdout", "stderr"], int]]) -> None:
    """Output that comes in pieces, with two streams in between, gives the measures of its lines."""
    rest = {"stdout": b"accuracy: 0.25\nloss: 3\n", "stderr": b"warm up: 7\nother: 8"}
    log = OutputLog()
    for stream, size in [*cuts, ("stdout", 99), ("stderr", 99)]:
        log.feed(stream, rest[stream][:size])
        rest[stream] = rest[stream][size:]
    log.close()
    assert log.measures == {"accuracy": 0.25, "loss": 3.0, "warm up": 7.0, "other": 8.0}


def test_long_output_is_bounded() -> None:
    """Whatever is written, little is kept: the last 64 KiB for the user; measures of long ago are not forgotten."""
    log = _log("accuracy: 0.9\n")
    for _ in range(80):
        log.feed("stdout", b"x" * 65536)
    assert len(log.tail) == 65536
    assert len(log.text) <= 2 << 20
    assert log.measures == {"accuracy": 0.9}


@pytest.mark.parametrize(
    ("value", "passed", "because"),
    [
        ("accuracy: 0.95", True, "exit code 0, accuracy 0.95 ≥ 0.9"),
        ("Accuracy: 90%", True, "exit code 0, accuracy 0.9 ≥ 0.9"),
        ("accuracy: 0.89", False, "accuracy is 0.89, less than 0.9"),
        ("accuracy: nan", False, "accuracy is nan, less than 0.9"),
        ("loss: 1\nauc: 2", False, "no line `accuracy: NUMBER` was printed (measures found: auc, loss)"),
        ("", False, "no line `accuracy: NUMBER` was printed (measures found: none)"),
    ],
)
def test_minimum(value: str, passed: bool, because: str) -> None:
    """A measure must reach its least value; nan never does; a missing one is told with those that were found."""
    judged = _judge(SmokeCheck(minimum=(("accuracy", 0.9),)), Ending(0), value)
    assert (judged.passed, judged.because) == (passed, because)


def test_minimum_name_in_any_case() -> None:
    """The name in the settings may be written as in the output."""
    assert _judge(SmokeCheck(minimum=(("Accuracy  Score", 0.9),)), Ending(0), "accuracy score: 1").passed


def test_expect() -> None:
    """The output must contain the expression, whose ^ and $ are those of lines."""
    check = SmokeCheck(expect=r"^done in \d+ s$")
    assert _judge(check, Ending(0), "start\ndone in 3 s\nend").passed
    judged = _judge(check, Ending(0), "undone in 3 s")
    assert (judged.passed, judged.because) == (False, r"the output does not contain '^done in \\d+ s$'")


@pytest.mark.parametrize(
    "check",
    [SmokeCheck(expect="accuracy("), SmokeCheck(minimum=(("a", math.nan),)), SmokeCheck(http="health")],
)
def test_checks_that_make_no_sense(check: SmokeCheck) -> None:
    """A wrong regular expression, least value or path is a configuration error."""
    with pytest.raises(ConfigurationError) as caught:
        _judge(check, Ending(0))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("exit_code", "because"),
    [
        (1, "exit code 1"),
        (126, "exit code 126 (not executable)"),
        (127, "exit code 127 (not found)"),
        (134, "exit code 134 (aborted)"),
        (137, "exit code 137 (killed, most often because memory ran out)"),
        (139, "exit code 139 (crashed: segmentation fault in native code)"),
        (143, "exit code 143 (terminated)"),
        (128 + 30, "exit code 158 (ended by signal 30)"),
    ],
)
def test_exit_codes_are_explained(exit_code: int, because: str) -> None:
    """An exit code other than 0 fails, with its meaning where it has one, whatever the measures say."""
    judged = _judge(SmokeCheck(minimum=(("a", 0.0),)), Ending(exit_code), "a: 1")
    assert (judged.passed, judged.because) == (False, because)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            (
                'Traceback (most recent call last):\n  File "/app/app.py", line 1, in <module>\n    import foo\n'
                "ModuleNotFoundError: No module named 'foo'\n"
            ),
            "ModuleNotFoundError: No module named 'foo'",
        ),
        (
            (
                "Traceback (most recent call last):\n  x\nKeyError: 'a'\n\nAnd then another "
                "exception came:\n\nTraceback (most recent call last):\n  y\npkg.errors.MyError\nlater\n"
            ),
            "pkg.errors.MyError",
        ),
        (
            "Traceback (most recent call last):\n  x\nLookupError: \n*****\n  Resource 'stopwords' not found.\n",
            "LookupError: Resource 'stopwords' not found",
        ),
        (
            "python: error while loading shared libraries: libfoo.so.1: cannot open shared object file\n",
            "error while loading shared libraries: libfoo.so.1: cannot open shared object file",
        ),
        (
            "Traceback (most recent call last):\nLookupError: \n*****\n  Resource \x1b[93mpunkt\x1b[0m not found.\n",
            "LookupError: Resource punkt not found",
        ),
        (
            "Traceback (most recent call last):\nValidationError: 1 validation error for Settings\nkey\n  missing\n",
            "ValidationError: 1 validation error for Settings key missing",
        ),
        (
            "╭─── Traceback (most recent call last) ───╮\n│ x │\n╰────╯\nKeyError: 'a'\n",
            "KeyError: 'a'",
        ),
    ],
)
def test_programs_own_reason(text: str, cause: str) -> None:
    """The last line of the last traceback, or the loader's complaint, is given as the cause."""
    assert _judge(SmokeCheck(), Ending(1), text).because == f"exit code 1: {cause}"


def test_cause_of_the_runtime_comes_first() -> None:
    """What the runtime knows, such as a memory limit, explains more than an exit code."""
    judged = _judge(SmokeCheck(), Ending(137, cause="killed: it needed more memory"))
    assert (judged.passed, judged.because) == (False, "killed: it needed more memory")


@pytest.mark.parametrize(
    ("check", "ending", "passed", "because"),
    [
        (SmokeCheck(timeout_seconds=5), Ending(None, timed_out=True), False, "still running at the time limit of 5 s"),
        (SmokeCheck(timeout_seconds=5, alive=True), Ending(None, timed_out=True), True, "still running after 5 s"),
        (SmokeCheck(alive=True), Ending(1), False, "exit code 1"),
        (SmokeCheck(http="/"), Ending(None, http_status=302, http_url=_URL), True, f"{_URL} answered 302"),
        (
            SmokeCheck(http="/", timeout_seconds=5, alive=True),
            Ending(None, timed_out=True, http_status=500, http_url=_URL),
            False,
            f"{_URL} answered 500 within 5 s",
        ),
        (
            SmokeCheck(http="/", timeout_seconds=5),
            Ending(None, timed_out=True, http_url=_URL),
            False,
            f"{_URL} did not answer within 5 s",
        ),
        (
            SmokeCheck(http="/"),
            Ending(0, http_url=_URL),
            False,
            f"the program ended before {_URL} answered, exit code 0",
        ),
        (
            SmokeCheck(http="/", expect="ready"),
            Ending(None, http_status=200, http_url=_URL),
            False,
            "the output does not contain 'ready'",
        ),
    ],
)
def test_endings(check: SmokeCheck, ending: Ending, passed: bool, because: str) -> None:
    """Time limits, servers and programs that should stay alive are judged as the settings' documentation says."""
    judged = _judge(check, ending)
    assert judged.passed == passed
    assert because in judged.because


def test_result_is_valid_json() -> None:
    """A measure that is not finite is null in JSON, which has no word for it."""
    result = SmokeResult(Digest.of(b""), "sandbox", False, 0, {"loss": math.nan, "a": 1.0}, "", 0.1, "")
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["measures"] == {"loss": None, "a": 1.0}
