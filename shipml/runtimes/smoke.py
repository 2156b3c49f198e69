"""Judges a run: pure, from what the program wrote and how it ended.

A measure is a line `NAME: NUMBER` or `NAME = NUMBER`: nothing before the name but blanks; letters, digits, blanks and
`_.@/-()` in it; upper and lower case are one; a `%` after the number divides it by 100. The last value counts.
"""

from __future__ import annotations

import math
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shipml.errors import ConfigurationError
from shipml.facts.plan import SmokeCheck
from shipml.runtimes.diagnose import FailureKind
from shipml.store.evidence import Finding

__all__ = [
    "CauseKind",
    "Ending",
    "Judgement",
    "OutputLog",
    "exit_text",
    "is_found",
    "judge",
    "normalised_measure",
    "validate",
]

_MEASURE = re.compile(
    r"\s*([^\W\d_][\w .@/()-]{0,99}?)\s*[:=]\s*"
    r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?))(%)?(?=[\s,;)]|$)",
    re.IGNORECASE,
)
_MEASURES_LIMIT = 200
_LINE_LIMIT_BYTES = 4096
_TAIL_BYTES = 64 << 10
_SEARCHED_BYTES = 1 << 20
_LAST_LINE_LIMIT = 300
_SEARCH_SECONDS = 10.0
_WORDS = re.compile(r"[A-Za-z]{3}")
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?::\s.*)?$")
_LOADER = re.compile(r"error while loading shared libraries: .*|exec format error.*", re.IGNORECASE)
_EXIT_CODES: Mapping[int, str] = {
    126: "not executable",
    127: "not found",
    128 + signal.SIGINT: "interrupted",
    128 + signal.SIGILL: "illegal instruction: the CPU lacks what the program was compiled for",
    128 + signal.SIGABRT: "aborted",
    128 + signal.SIGBUS: "bus error: /dev/shm or a mapped file is full or gone",
    128 + signal.SIGFPE: "arithmetic error",
    128 + signal.SIGKILL: "killed, most often because memory ran out",
    128 + signal.SIGSEGV: "crashed: segmentation fault in native code",
    128 + signal.SIGTERM: "terminated",
}


CauseKind: TypeAlias = Literal["", "cannot-start", "memory", "processes"]
"""What a runtime knows of an end beyond the exit code."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    exit_code: int | None
    """128 + N for signal N; None where we ended the program."""
    timed_out: bool = False
    http_status: int | None = None
    """The last answer of the server; None for none."""
    http_url: str = ""
    """What was asked."""
    cause: str = ""
    """What the runtime knows beyond the exit code, as a clause: out of memory, program not found."""
    cause_kind: CauseKind = ""
    is_final: bool = False
    """Whether the server's answer was final before its time was over."""
    unreachable: tuple[str, ...] = ()
    """Where it listens, if that is on loopback alone: `127.0.0.1:8080`."""
    findings: tuple[Finding, ...] = ()
    """What came of the questions that were asked once it answered."""
    unanswered: str = ""
    """What was being asked when its time was over, or when the program ended."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the run is good enough, and why: one clause."""

    passed: bool
    because: str
    measures: Mapping[str, float]
    kind: FailureKind = ""
    """Of the failure; "" where it passed."""


class OutputLog:
    """Takes the output as it comes, and keeps what the judge and the user need of it, whatever its length."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._partial = {"stdout": b"", "stderr": b""}
        self.measures: dict[str, float] = {}
        """Last value of each measure, names normalised."""

    def feed(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Take what `stream` gave."""
        self._kept += data
        if len(self._kept) > 2 * _SEARCHED_BYTES:
            del self._kept[:-_SEARCHED_BYTES]
        *lines, rest = (self._partial[stream] + data).replace(b"\r", b"\n").split(b"\n")
        self._partial[stream] = rest[:_LINE_LIMIT_BYTES]
        for line in lines:
            self._measure(line)

    def close(self) -> None:
        """Take the last lines, which may lack their line end."""
        for stream, line in self._partial.items():
            self._measure(line)
            self._partial[stream] = b""

    @property
    def text(self) -> str:
        """The last 1 MiB at least: what `expect` is searched in."""
        return self._kept.decode(errors="replace")

    @property
    def tail(self) -> str:
        """The last 64 KiB."""
        return self._kept[-_TAIL_BYTES:].decode(errors="replace")

    def _measure(self, line: bytes) -> None:
        if match := _MEASURE.match(line[:_LINE_LIMIT_BYTES].decode(errors="replace")):
            name = normalised_measure(match[1])
            if name in self.measures or len(self.measures) < _MEASURES_LIMIT:
                self.measures[name] = float(match[2]) / (100 if match[3] else 1)


def normalised_measure(name: str) -> str:
    """A measure's name in lower case, its blanks single."""
    return " ".join(name.lower().split())


def validate(check: SmokeCheck) -> None:
    """Raise ConfigurationError for a check that no output could be judged by: before anything is run."""
    try:
        re.compile(check.expect)
    except re.error as error:
        raise ConfigurationError(
            f"the regular expression {check.expect!r} is wrong: {error}",
            hint="correct `expect` in [smoke], or --expect; in a regular expression ( ) [ ] * + ? . are special",
        ) from error
    for name, least in check.minimum:
        if math.isnan(least):
            raise ConfigurationError(f"the least value of {name} is not a number", hint=f"use --minimum {name}=0.9")
    if check.http and not check.http.startswith("/"):
        raise ConfigurationError(
            f"{check.http!r} is not the path of a URL", hint='start it with a slash: http = "/health"'
        )


def judge(check: SmokeCheck, ending: Ending, log: OutputLog) -> Judgement:
    """Whether the run did what the check demands.

    Raises:
        ConfigurationError: as `validate`.
    """
    validate(check)
    log.close()
    kind, failure = (
        _ended_badly(check, ending, log) or _lacks(check, log) or _did_nothing(check, ending, log) or ("", "")
    )
    return Judgement(not kind, failure or _praise(check, ending, log), dict(log.measures), kind)


def _ended_badly(check: SmokeCheck, ending: Ending, log: OutputLog) -> tuple[FailureKind, str] | None:
    if ending.cause:
        return ending.cause_kind or "exit-code", ending.cause
    limit = f"{check.timeout_seconds:g} s"
    if check.http:
        return _answered_badly(check, ending, log)
    if ending.timed_out:
        return None if check.alive else ("still-running", f"it was still running at the time limit of {limit}")
    return ("exit-code", exit_text(ending, log)) if ending.exit_code else None


def _answered_badly(check: SmokeCheck, ending: Ending, log: OutputLog) -> tuple[FailureKind, str] | None:
    if ending.http_status is not None and _is_good(ending.http_status, check):
        return _found_badly(check, ending, log)
    if ending.unreachable:
        return "unreachable", f"it listens at {ending.unreachable[0]} only, which nothing outside the container reaches"
    answered = f"answered {ending.http_status}" if ending.http_status else "did not answer"
    refused = "http-failed" if (ending.http_status or 0) >= 500 else "http-refused"  # noqa: PLR2004
    if ending.is_final:
        return refused, f"{ending.http_url} {answered}"
    if ending.timed_out:
        kind = refused if ending.http_status else "no-answer"
        return kind, f"{ending.http_url} {answered} within {check.timeout_seconds:g} s"
    return "exit-code", f"the program ended before {ending.http_url} answered, {exit_text(ending, log)}"


def _found_badly(check: SmokeCheck, ending: Ending, log: OutputLog) -> tuple[FailureKind, str] | None:
    """What is wrong with a server that answers."""
    failed = next((one for one in ending.findings if one.passed is False), None)
    if failed is not None:
        words = "" if failed.gives_reason else _last_words(log.tail)
        said = f"; the program says: {words}" if words else ""
        return "question", f"{failed.because}{said}"
    if not ending.unanswered:
        return None
    if ending.timed_out:
        return "unanswered", f"{ending.unanswered} was not over at the time limit of {check.timeout_seconds:g} s"
    return "exit-code", f"the program ended during {ending.unanswered}, {exit_text(ending, log)}"


def _is_good(status: int, check: SmokeCheck) -> bool:
    return 200 <= status < (500 if check.any_answer else 400)  # noqa: PLR2004  (RFC 9110, section 15)


def exit_text(ending: Ending, log: OutputLog) -> str:
    """How the program ended, and its own last words about it: a clause."""
    if ending.exit_code is None:
        return "without exit code"
    meaning = _EXIT_CODES.get(ending.exit_code, "")
    if not meaning and ending.exit_code > 128:  # noqa: PLR2004  (shells: 128 + signal)
        meaning = f"ended by signal {ending.exit_code - 128}"
    text = f"exit code {ending.exit_code}" + (f" ({meaning})" if meaning else "")
    cause = _last_words(log.tail) if ending.exit_code else ""
    return f"{text}: {cause}" if cause else text


def _last_words(text: str) -> str:
    """What the program itself gives as the reason: the last line of its last traceback, or the loader's complaint."""
    _, found, trace = text.rpartition("Traceback (most recent call last):\n")
    if found:
        lines = trace.splitlines()
        for number, line in enumerate(lines):
            if _EXCEPTION.match(line):
                more = _telling(lines[number + 1 :]) if line.rstrip().endswith(":") else ""
                return f"{line.rstrip()} {more}"[:_LAST_LINE_LIMIT].rstrip(" .")
    complaints = _LOADER.findall(text)
    return complaints[-1][:_LAST_LINE_LIMIT] if complaints else ""


def _telling(lines: Sequence[str]) -> str:
    """The first line with words: some messages begin with rows of asterisks, or with nothing."""
    return next((line.strip() for line in lines if _WORDS.search(line)), "")


def _lacks(check: SmokeCheck, log: OutputLog) -> tuple[FailureKind, str] | None:
    for name, least in check.minimum:
        value = log.measures.get(normalised_measure(name))
        if value is None:
            found = ", ".join(sorted(log.measures)) or "none"
            return "measure", f"no line `{name}: NUMBER` was printed (measures found: {found})"
        if not value >= least:  # so written that nan fails
            return "measure", f"{name} is {value:g}, less than {least:g}"
    if check.expect and not is_found(check.expect, log.text):
        return "expected", f"the output does not contain {check.expect!r}"
    return None


def _did_nothing(check: SmokeCheck, ending: Ending, log: OutputLog) -> tuple[FailureKind, str] | None:
    """A program that only defines things ends well and shows nothing: that is not a pass."""
    if check.calls_nothing and not check.http and not ending.timed_out and not log.text.strip():
        return "did-nothing", "the program did nothing: its file only defines functions, and it wrote nothing"
    return None


def is_found(pattern: str, text: str) -> bool:
    """Whether a user's regular expression is found, in a process of its own: Python's search cannot be stopped.

    Raises:
        ConfigurationError: it takes too long, such as `(a+)+$`.
    """
    code = "import re, sys; pattern, text = eval(sys.stdin.read()); sys.exit(not re.search(pattern, text, re.M))"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code],
            input=repr((pattern, text)).encode(),
            check=False,
            timeout=_SEARCH_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(
            f"the regular expression {pattern!r} takes more than {_SEARCH_SECONDS:g} s on this output",
            hint="write it without repetitions in repetitions, such as (a+)+",
        ) from error
    return done.returncode == 0


def _praise(check: SmokeCheck, ending: Ending, log: OutputLog) -> str:
    if check.http:
        base = "; ".join(
            [f"{ending.http_url} answered {ending.http_status}", *(one.because for one in ending.findings)]
        )
    elif ending.timed_out:
        base = f"it was still running after {check.timeout_seconds:g} s, as it should"
    else:
        base = "exit code 0"
    reached = [f"{n} {log.measures[normalised_measure(n)]:g} ≥ {least:g}" for n, least in check.minimum]
    shown = [f"the output contains {check.expect!r}"] if check.expect else []
    return ", ".join([base, *reached, *shown])
