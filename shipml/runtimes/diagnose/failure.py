"""What is known of a run that failed: values alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Failure", "FailureKind", "LeftOut", "SettingsPlace", "around", "telling"]

FailureKind = str
"""One of: "cannot-start", "did-nothing", "exit-code", "expected", "http-failed", "http-refused", "measure", "memory",
"no-answer", "processes", "question", "still-running", "unanswered", "unreachable"."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of the project that is not in the image."""

    path: str
    because: str
    """The rule, such as ".dockerignore:3", or a reason: "may hold a secret"."""
    is_safeguard: bool = False
    """Whether it is one of what is never sent unless `include` names it."""


@dataclass(frozen=True, slots=True)
class SettingsPlace:
    """Where the project's settings stand, and what is there."""

    file: str = "shipml.toml"
    include: tuple[str, ...] = ()

    def setting(self, line: str) -> str:
        """A line of the settings, and where to write it: before the tables, which would swallow it."""
        where = "under [tool.shipml] of" if self.file == "pyproject.toml" else "at the top of"
        return f"{line} {where} {self.file}"

    def including(self, path: str) -> str:
        """The line that takes a file in, beside what is taken in already."""
        names = ", ".join(f'"{name}"' for name in dict.fromkeys((*self.include, path)))
        return self.setting(f"include = [{names}]")


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a run that failed."""

    kind: FailureKind
    exit_code: int | None = None
    words: str = ""
    """The end of what the program wrote."""
    program: str = ""
    """What could not be executed, for "cannot-start"."""
    measure: str = ""
    """The name that was demanded and not printed, for "measure"; "" where its value is too low."""
    measures: tuple[str, ...] = ()
    """Names of those that were printed."""
    listeners: tuple[str, ...] = ()
    """`address:port` of what listened."""
    left_out: Sequence[LeftOut] = ()
    written_by: Mapping[str, str] = field(default_factory=dict)
    """Path of a file → `FILE:LINE` of the project's code that writes it."""
    present: Sequence[str] = ()
    """Files of the project that are in the image, relative to its working folder."""
    memory_bytes: int | None = None
    settings: SettingsPlace = SettingsPlace()


_TRACE = re.compile(r"Traceback \(most recent call last\)")
_TELLING_LINES, _AROUND_LINES, _TRACE_LINES = 15, 80, 120


def telling(words: str) -> str:
    """Where a program says what is wrong: its last traceback and what follows, or its last lines."""
    at = max((found.start() for found in _TRACE.finditer(words)), default=-1)
    if at < 0:
        return "\n".join(words.rstrip().splitlines()[-_TELLING_LINES:])
    return "\n".join(words[at:].splitlines()[:_TRACE_LINES])


def around(words: str) -> str:
    """More of it: the exceptions that led to the last, too."""
    return "\n".join(words.rstrip().splitlines()[-_AROUND_LINES:])
