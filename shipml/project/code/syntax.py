"""Python files that no Python can read: where, and why, with the line and a caret."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shipml.errors import PlanError
from shipml.events import Emit, Notice

__all__ = ["BrokenFile", "find_fault", "report_broken"]

_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_NEWEST = (3, 14)
"""The newest Python whose syntax a project may use."""
_MAY_BE_NEWER = re.compile(r"\b[fFtT][rR]?[\"']|\btype\s+\w+|\b(?:def|class)\s+\w+\s*\[|\bexcept\*?\s+[\w.]+\s*,")
"""Syntax that came after 3.11: what this Python calls broken may be right."""
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A file, and the first place at which it is wrong."""

    path: str
    line: int
    """Counted from 1."""
    because: str
    """A clause without full stop."""
    hint: str
    excerpt: str = ""
    """The line and a caret below it."""

    @property
    def message(self) -> str:
        """Where, why, and the line."""
        return f"{self.path}:{self.line}: {self.because}" + (f"\n{self.excerpt}" if self.excerpt else "")


def find_fault(path: str, text: str, encoding: str) -> BrokenFile | None:
    """What is wrong with a program; None where nothing is, or where a newer Python may read it.

    Args:
        path: of the file.
        text: of the file.
        encoding: what it was decoded from; "" is UTF-8.
    """
    lines = text.splitlines()
    if encoding and not any(_COOKIE.match(line) for line in lines[:2]):
        number = next((at for at, line in enumerate(lines, start=1) if not line.isascii()), 1)
        return BrokenFile(path, number, f"the file is {encoding}, and Python reads UTF-8", "save it as UTF-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        number = error.lineno or 1
        line = lines[number - 1] if number <= len(lines) else ""
        if sys.version_info < _NEWEST and _MAY_BE_NEWER.search(line):
            return None
        return BrokenFile(path, number, f"syntax error: {error.msg}", f"correct {path}", _excerpt(line, error.offset))
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def report_broken(broken: Sequence[BrokenFile], reached: Iterable[str], emit: Emit) -> None:
    """Say which files are broken.

    Args:
        broken: the files.
        reached: those that run, whichever program is chosen.
        emit: hears of the others.

    Raises:
        PlanError: one that runs is broken.
    """
    runs = frozenset(reached)
    for one in broken:
        if one.path in runs:
            raise PlanError(one.message, hint=f"{one.hint}, and run the command again")
    for one in broken:
        emit(Notice(f"{one.path}:{one.line}: {one.because}", "warning"))


def _excerpt(line: str, column: int | None) -> str:
    indent = len(line) - len(line.lstrip())
    shown = line.strip()[:_SHOWN]
    at = max(0, (column or 1) - 1 - indent)
    return f"    {shown}\n    {' ' * at}^" if shown and at <= len(shown) else ""
