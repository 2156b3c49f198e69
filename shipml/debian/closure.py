"""Which packages belong together (pure): the dependency closure of a few roots."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shipml.debian.index import Alternative, PackageRecord
from shipml.debian.versions import satisfies
from shipml.errors import PlanError

__all__ = ["Chosen", "Packages", "close"]

_SUGGESTIONS = 3


class Packages(Protocol):
    """What the indexes know of a name."""

    def find(self, name: str) -> list[PackageRecord]:
        """The newest package of that name first, then those that provide it."""

    def names(self) -> Iterable[str]:
        """All names, for a suggestion."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A package of the closure, and how it came to be in it."""

    record: PackageRecord
    chain: tuple[str, ...]
    """From the root to this package."""


def close(
    packages: Packages,
    roots: Iterable[str],
    *,
    given: Mapping[str, PackageRecord] | None = None,
    excluded: Mapping[str, str] | None = None,
    may_upgrade: bool = False,
) -> dict[str, Chosen]:
    """All that `roots` need (Pre-Depends and Depends), by name, in the order in which it was found.

    A group of alternatives is met by what is chosen already, else by its first alternative that is available, a real
    package before one that provides the name. Names in `excluded` (to the reason why) are left out, with all that only
    they need; roots are never left out. What is `given` is there already and is not part of the result, unless it
    `may_upgrade` and something needs a newer version of it; then what was given and needs the old one is newer, too.
    Where two that were chosen conflict (Policy 7.4), another alternative is taken for one of them if there is any.

    Raises:
        PlanError: a root is unknown, or a dependency cannot be met; the message shows the chain to it.
    """
    records, avoided, needed = _roots(packages, roots), set[str](), set[str]()
    while True:
        closure = _Closure(packages, given or {}, excluded or {}, avoided, may_upgrade=may_upgrade)
        for record in records:
            closure.take(record, ())
        closure.follow()
        needed |= avoided & closure.chosen.keys()  # nothing else has their names
        rival = closure.rival(tried=avoided | needed)
        if not rival:
            return closure.chosen
        avoided = (avoided - needed) | {rival}


def _roots(packages: Packages, roots: Iterable[str]) -> list[PackageRecord]:
    records = []
    for root in roots:
        found = packages.find(root)
        if not found:
            raise PlanError(f"Debian has no package {root}", hint=_suggestion(root, packages))
        records.append(found[0])
    return records


class _Closure:
    """A closure while it grows."""

    def __init__(
        self,
        packages: Packages,
        given: Mapping[str, PackageRecord],
        excluded: Mapping[str, str],
        avoided: Collection[str],
        *,
        may_upgrade: bool,
    ) -> None:
        self.chosen: dict[str, Chosen] = {}
        self._packages = packages
        self._given = given
        self._excluded = excluded
        self._avoided = avoided
        self._may_upgrade = may_upgrade
        self._provided: dict[str, list[PackageRecord]] = {}
        self._todo: deque[Chosen] = deque()
        for record in given.values():
            self._register(record)

    def take(self, record: PackageRecord, chain: tuple[str, ...]) -> None:
        """Add a package, and look at what it needs later."""
        old = self._given.get(record.name)
        if record.name not in self.chosen and (old is None or (self._may_upgrade and old.version != record.version)):
            if old is not None:
                self._replace(old)
            self.chosen[record.name] = Chosen(record, (*chain, record.name))
            self._register(record)
            self._todo.append(self.chosen[record.name])

    def follow(self) -> None:
        """Add what is needed until nothing is missing."""
        while self._todo:
            current = self._todo.popleft()
            for group in current.record.depends:
                if not _met(group, self._provided):
                    self._add_one_of(group, current)

    def rival(self, tried: Collection[str]) -> str:
        """A package that conflicts with another and that it was not tried to avoid; "" where there is none."""
        for chosen in self.chosen.values():
            for unwanted in chosen.record.conflicts:
                for other in self._provided.get(unwanted.name, ()):
                    if other.name != chosen.record.name and _answers(other, unwanted):
                        pair = (other.name, chosen.record.name)
                        free = [name for name in pair if name in self.chosen and name not in tried]
                        if free:
                            return free[0]
        return ""

    def _replace(self, old: PackageRecord) -> None:
        """Forget what is given for a newer version of it, and take newer ones of what needs this very version."""
        for name in {old.name, *(item.name for item in old.provides)}:
            self._provided[name].remove(old)
        for user in self._given.values():
            exact = any(
                wanted.name == old.name and wanted.relation == "=" for group in user.depends for wanted in group
            )
            found = self._packages.find(user.name) if exact else []
            if found and found[0].name == user.name:
                self.take(found[0], (user.name,))

    def _add_one_of(self, group: tuple[Alternative, ...], current: Chosen) -> None:
        match = _first_possible(group, self._packages, self._excluded, self._avoided)
        if match is None:
            raise PlanError(
                f"{' → '.join(current.chain)} needs {' | '.join(map(str, group))}, which the suite does not have",
                hint="the mirror may lag behind, or the package may not be installable: "
                "refresh the package lists with --upgrade, or choose another --base",
            )
        if isinstance(match, PackageRecord):
            self.take(match, current.chain)

    def _register(self, record: PackageRecord) -> None:
        for name in {record.name, *(item.name for item in record.provides)}:
            self._provided.setdefault(name, []).append(record)


def _met(group: tuple[Alternative, ...], provided: Mapping[str, list[PackageRecord]]) -> bool:
    return any(_answers(record, wanted) for wanted in group for record in provided.get(wanted.name, ()))


def _answers(record: PackageRecord, wanted: Alternative) -> bool:
    """Whether `record` is, or provides, what is wanted; an unversioned Provides meets no versioned relation (7.5)."""
    if record.name == wanted.name:
        return satisfies(record.version, wanted.relation, wanted.version)
    return any(
        item.name == wanted.name
        and (not wanted.relation or (item.relation == "=" and satisfies(item.version, wanted.relation, wanted.version)))
        for item in record.provides
    )


def _first_possible(
    group: tuple[Alternative, ...], packages: Packages, excluded: Mapping[str, str], avoided: Collection[str]
) -> PackageRecord | str | None:
    """The package to take; the reason, where the first that is available is excluded; None where there is none.

    One that is to be avoided is taken only where nothing else answers.
    """
    last_resort = None
    for wanted in group:
        if wanted.name in excluded:
            return last_resort or excluded[wanted.name]
        for record in packages.find(wanted.name):
            if _answers(record, wanted):
                if record.name not in avoided:
                    return excluded.get(record.name, record)
                last_resort = last_resort or record
    return last_resort


def _suggestion(name: str, packages: Packages) -> str:
    near = difflib.get_close_matches(name, packages.names(), n=_SUGGESTIONS, cutoff=0.7)
    return (
        f"did you mean {' or '.join(near)}?"
        if near
        else "look it up: apt-cache search (apt names packages, not programs)"
    )
