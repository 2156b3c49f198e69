"""The table of what packages need for a part of what they do, and by which code one sees that: needs.toml."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from tomllib import loads
from typing import Any, Literal

__all__ = ["Names", "Need", "needs", "needs_know"]


@dataclass(frozen=True, slots=True)
class Names:
    """Names that may hold `*`. Without regular expressions: compiling hundreds takes longer than reading a project."""

    exact: frozenset[str]
    starred: tuple[tuple[str, ...], ...]
    """What stands between the stars of each."""
    ignores_case: bool = False

    @classmethod
    def of(cls, names: Iterable[str], *, ignores_case: bool = False) -> Names:
        """The names, as they are written."""
        every = [name.lower() if ignores_case else name for name in names]
        starred = tuple(tuple(name.split("*")) for name in every if "*" in name)
        return cls(frozenset(name for name in every if "*" not in name), starred, ignores_case)

    def fit(self, name: str) -> bool:
        """Whether `name` is one of them."""
        name = name.lower() if self.ignores_case else name
        return name in self.exact or any(_fits(pieces, name) for pieces in self.starred)


def _fits(pieces: tuple[str, ...], name: str) -> bool:
    first, *middle, last = pieces
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for piece in middle:
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


@dataclass(frozen=True, slots=True)
class Need:
    """One package, and the code that shows that it is needed."""

    packages: tuple[str, ...]
    """Requirements; each is added that is not there."""
    instead: frozenset[str]
    """Normalised names of distributions that serve as well."""
    kinds: frozenset[str]
    """Of uses that count as evidence: "import", "name", "text"."""
    evidence: Names
    """Names of uses."""
    besides: Names
    """Names that `evidence` has, too, and that show nothing."""
    arguments: Names | None
    """One argument must be such; None where any call, and any mention, counts."""
    unless: Names | None
    """No argument may be such."""
    beside: frozenset[str]
    """Top-level modules of which the file must import one; empty for any file."""
    where: Names | None
    """The file's path must be such."""
    of: tuple[str, ...]
    """Requirements, "pandas<1.2", that the versions that are pinned must meet; what is not pinned is new."""


@cache
def needs() -> tuple[Need, ...]:
    """The table, in its order."""
    table = loads(files("shipml.project.data").joinpath("needs.toml").read_text(encoding="utf-8"))
    return tuple(_need(entry) for entry in table["need"])


def needs_know(kind: Literal["import", "name", "text"], name: str) -> bool:
    """Whether a use of this kind and name can be evidence."""
    return _known(kind).fit(name)


@cache
def _known(kind: str) -> Names:
    of_kind = [one.evidence for one in needs() if kind in one.kinds]
    starred = dict.fromkeys(pieces for names in of_kind for pieces in names.starred)
    return Names(frozenset().union(*(names.exact for names in of_kind)), tuple(starred))


_KINDS = {"imports": "import", "calls": "name", "texts": "text"}


def _need(entry: dict[str, Any]) -> Need:
    names = [name for key in _KINDS for name in entry.get(key, "").split()]
    return Need(
        packages=tuple(entry["add"].split()),
        instead=frozenset(entry.get("instead", "").split()),
        kinds=frozenset(kind for key, kind in _KINDS.items() if key in entry),
        evidence=Names.of(name for name in names if not name.startswith("!")),
        besides=Names.of(name[1:] for name in names if name.startswith("!")),
        arguments=Names.of(entry["arguments"].split(), ignores_case=True) if "arguments" in entry else None,
        unless=Names.of(entry["unless"].split(), ignores_case=True) if "unless" in entry else None,
        beside=frozenset(entry.get("beside", "").split()),
        where=Names.of(entry["where"].split()) if "where" in entry else None,
        of=tuple(entry.get("of", "").split()),
    )
