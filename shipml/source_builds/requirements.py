"""What a built wheel needs at run time, which its source may not have said: setup.py can compute it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from email.parser import HeaderParser
from typing import cast

from shipml.facts.plan import LockedWheel
from shipml.facts.project import Lock
from shipml.facts.pythons import PythonBase
from shipml.lock import marker_environment
from shipml.lock.choosing import marker_holds
from shipml.resolver.sources import keep_requirements
from shipml.store import Store
from shipml.wheels.archive import Archive

__all__ = ["unmet_requirements"]

_LIMIT_BYTES = 4 << 20


def unmet_requirements(resolved: Lock, built: Lock, suite: PythonBase, store: Store) -> tuple[str, ...]:
    """What built wheels need and the lock lacks, such as `holidays 0.10.3 needs hijri-converter`.

    It is kept for the resolver.

    Args:
        resolved: the lock with its sources.
        built: the same with wheels in their place.
        suite: of the lock.
        store: has the wheels.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    environment = {**cast("dict[str, str]", marker_environment(suite, built.platform)), "extra": ""}
    versions = {wheel.name: wheel.version for wheel in built.wheels}
    by_name = {source.name: source for source in resolved.sources}
    unmet = []
    for wheel in built.wheels:
        if wheel.name not in by_name:
            continue
        lines = tuple(_requirements(wheel, store))
        lacking = []
        for requirement in map(Requirement, lines):
            if not marker_holds(requirement, environment):
                continue
            there = versions.get(canonicalize_name(requirement.name))
            if there is None or not requirement.specifier.contains(there, prereleases=True):
                lacking.append(f"{wheel.name} {wheel.version} needs {requirement.name}{requirement.specifier}")
        if lacking and keep_requirements(by_name[wheel.name], lines, store):
            unmet += lacking
    return tuple(unmet)


def _requirements(wheel: LockedWheel, store: Store) -> Iterator[str]:
    archive = Archive(store.blob_path(wheel.digest), wheel.filename)
    for entry in archive.entries:
        if entry.name.count("/") == 1 and entry.name.endswith(".dist-info/METADATA"):
            text = archive.read(entry, limit_bytes=_LIMIT_BYTES).decode("utf-8", "replace")
            yield from _valid(HeaderParser().parsestr(text).get_all("Requires-Dist", []))


def _valid(lines: Sequence[str]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
        try:
            yield str(Requirement(line))
        except InvalidRequirement:
            continue
