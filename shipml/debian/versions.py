"""Debian versions and the relations between them (Debian Policy 5.6.12 and 7.1)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import total_ordering

__all__ = ["DebianVersion", "satisfies"]

_Number = tuple[int, str]
_Part = tuple[tuple[int, ...], _Number]
_Key = tuple[_Part, ...]

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_END: _Part = ((0,), (0, ""))
_RELATIONS: dict[str, Callable[[DebianVersion, DebianVersion], bool]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">>": operator.gt,
    "<": operator.le,
    ">": operator.ge,
}
"""Single `<` and `>` are the old spellings of "or equal"."""


@total_ordering
class DebianVersion:
    """`[epoch:]upstream[-revision]`, ordered as dpkg orders it."""

    __slots__ = ("_key", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        epoch, colon, rest = text.partition(":")
        if not colon:
            epoch, rest = "0", text
        upstream, dash, revision = rest.rpartition("-")
        if not dash:
            upstream, revision = rest, ""
        self._key = (_number(epoch if epoch.isdecimal() else ""), _key(upstream), _key(revision))

    @property
    def upstream(self) -> str:
        """The version that the authors gave: without epoch and revision."""
        rest = self.text.split(":", 1)[-1]
        return rest.rpartition("-")[0] or rest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebianVersion) and self._key == other._key

    def __lt__(self, other: DebianVersion) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"DebianVersion({self.text!r})"


def satisfies(version: str, relation: str, wanted: str) -> bool:
    """Whether `version` stands in `relation` to `wanted`; an empty relation is always met."""
    return not relation or _RELATIONS[relation](DebianVersion(version), DebianVersion(wanted))


def _key(text: str) -> _Key:
    """Parts of text and number in turn; `~` sorts before the end, letters before other characters.

    The end of a text part is a weight of its own (0), so that tuples compare as dpkg compares strings; parts that are
    missing at the end count as empty text and 0.
    """
    parts = [((*map(_weight, match[1]), 0), _number(match[2] or "")) for match in _PARTS.finditer(text) if match[0]]
    # Only the first part can equal _END (a bare 0). Two of them, so that "" and "0" still sort after "0~".
    return (*(parts if parts != [_END] else ()), _END, _END)


def _number(digits: str) -> _Number:
    """Sorts as the number does; Python refuses to read numbers of thousands of digits."""
    stripped = digits.lstrip("0")
    return len(stripped), stripped


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
