"""Go's filepath.Match with `**`, matched without backtracking: time grows with path and pattern, never with a power."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["compile_glob"]

_MOST_WILDCARDS = 2
"""A regular expression with more could backtrack for long."""
_MOST_KNOWN = 10_000
"""Steps of an automaton that are remembered."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One position of the automaton: it consumes a character and goes on, or stays, or both."""

    regex: str
    """Of all that the part matches."""
    moves_on: re.Pattern[str] | None
    """The characters that lead to the next position; None where it is reached without one."""
    stays: re.Pattern[str] | None = None
    """The characters that lead back to this position."""
    skips: int = 0
    """How many positions further it is also reached without a character."""


_ANY = re.compile(r".", re.DOTALL)
_NO_SLASH = re.compile(r"[^/]")
_SLASH = re.compile(r"/")
_STAR = _Part("[^/]*", None, _NO_SLASH, skips=1)
_EVERYTHING = _Part(".*", None, _ANY, skips=1)
_FOLDERS = (_Part("(?:.*/)?", None, skips=2), _Part("", _SLASH, _ANY))
"""Any number of folders, each with its slash; or nothing."""


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """A function that says whether a path matches all of `pattern`.

    Raises:
        IndexError: a bracket is not closed, or empty, or a backslash ends it.
        re.error: a bracket holds what is not a range.
    """
    parts = _parts(pattern)
    regex = re.compile("".join(part.regex for part in parts) + r"\Z", re.DOTALL)
    if sum(part.skips > 0 for part in parts) <= _MOST_WILDCARDS:
        return lambda path: regex.match(path) is not None
    return _Automaton(parts).matches


class _Automaton:
    """All positions at once, as bits of a number; each step is worked out once and remembered."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts
        self._end = 1 << len(parts)
        self._known: dict[tuple[int, str], int] = {}

    def matches(self, path: str) -> bool:
        positions = self._closed(1)
        for char in path:
            step = self._known.get((positions, char))
            if step is None:
                step = self._step(positions, char)
                if len(self._known) < _MOST_KNOWN:
                    self._known[positions, char] = step
            positions = step
            if not positions:
                return False
        return bool(positions & self._end)

    def _step(self, positions: int, char: str) -> int:
        found = 0
        for at, part in enumerate(self._parts):
            if positions >> at & 1:
                if part.moves_on is not None and part.moves_on.match(char):
                    found |= 1 << at + 1
                if part.stays is not None and part.stays.match(char):
                    found |= 1 << at
        return self._closed(found)

    def _closed(self, positions: int) -> int:
        """With what is reached without a character."""
        for at, part in enumerate(self._parts):
            if part.skips and positions >> at & 1:
                positions |= 1 << at + part.skips
                positions |= 1 << at + 1
        return positions


def _parts(pattern: str) -> list[_Part]:
    if pattern.startswith("**") and not pattern.startswith("**/") and not re.search(r"[*?\[\\]", pattern[2:]):
        return [_EVERYTHING, *map(_literal, pattern[2:])]
    parts: list[_Part] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 3 if pattern.startswith("**/", at) else 2
            parts += _FOLDERS if at < len(pattern) else (_EVERYTHING,)
        elif char == "[":
            piece, at = _character_class(pattern, at)
            parts.append(_Part(piece, re.compile(piece)))
        elif char == "\\":
            parts.append(_literal(pattern[at + 1]))
            at += 2
        else:
            usual = {"*": _STAR, "?": _Part("[^/]", _NO_SLASH)}
            parts.append(usual.get(char) or _literal(char))
            at += 1
    return parts


def _literal(char: str) -> _Part:
    return _Part(re.escape(char), re.compile(re.escape(char)))


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    """A bracket expression `[a-z]` or `[^a-z]` that starts at `at`, and where the pattern goes on."""
    end = at + 1
    negated = pattern[end] == "^"
    end += negated
    body = ""
    while pattern[end] != "]":
        if pattern[end] == "\\":
            end += 1
            body += "\\" + pattern[end]
        else:
            body += "-" if pattern[end] == "-" else re.escape(pattern[end])
        end += 1
    if not body:
        raise IndexError
    return f"[{'^/' if negated else ''}{body}]", end + 1
