"""The table of what packages need for a part of what they do, and by which code one sees that: needs.toml."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from tomllib import loads
from typing import Any, Literal

__all__ = ["Need", "needs", "needs_know"]


@dataclass(frozen=True, slots=True)
class Need:
    """One package, and the code that shows that it is needed."""

    packages: tuple[str, ...]
    """Requirements; each is added that is not there."""
    instead: frozenset[str]
    """Normalised names of distributions that serve as well."""
    kinds: frozenset[str]
    """Of uses that count as evidence: "import", "name", "text"."""
    evidence: re.Pattern[str]
    """Names of uses."""
    besides: re.Pattern[str]
    """Names that `evidence` matches, too, and that are no evidence."""
    arguments: re.Pattern[str] | None
    """One argument must be such; None where any call, and any mention, counts."""
    unless: re.Pattern[str] | None
    """No argument may be such."""
    beside: frozenset[str]
    """Top-level modules of which the file must import one; empty for any file."""
    where: re.Pattern[str] | None
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
    return _known(kind).fullmatch(name) is not None


@cache
def _known(kind: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one.evidence.pattern})" for one in needs() if kind in one.kinds), re.DOTALL)


_KINDS = {"imports": "import", "calls": "name", "texts": "text"}


def _need(entry: dict[str, Any]) -> Need:
    names = [name for key in _KINDS for name in entry.get(key, "").split()]
    return Need(
        packages=tuple(entry["add"].split()),
        instead=frozenset(entry.get("instead", "").split()),
        kinds=frozenset(kind for key, kind in _KINDS.items() if key in entry),
        evidence=_pattern(name for name in names if not name.startswith("!")),
        besides=_pattern(name[1:] for name in names if name.startswith("!")),
        arguments=_pattern(entry["arguments"].split(), re.IGNORECASE) if "arguments" in entry else None,
        unless=_pattern(entry["unless"].split(), re.IGNORECASE) if "unless" in entry else None,
        beside=frozenset(entry.get("beside", "").split()),
        where=_pattern(entry["where"].split()) if "where" in entry else None,
        of=tuple(entry.get("of", "").split()),
    )


def _pattern(names: Iterable[str], flags: int = re.DOTALL) -> re.Pattern[str]:
    """Of any of the names, which may hold `*`; nothing matches none."""
    return re.compile("|".join(fnmatch.translate(name) for name in names) or r"(?!)", flags)
