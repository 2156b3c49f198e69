"""Which build tools of Python: resolved by uv for the image's Python, as of the source's day, with the lock."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shipml.errors import ResolutionError, ShipmlError
from shipml.facts.plan import LockedWheel
from shipml.facts.pythons import PythonBase
from shipml.facts.requirements import DeclaredRequirement, Requirements
from shipml.lock import select_wheels
from shipml.oci.manifest import Platform
from shipml.resolver.errors import UnsolvableError, explain
from shipml.resolver.uv import Question, Uv, UvError
from shipml.source_builds.needs import moments
from shipml.store import Store

__all__ = ["ToolResolver", "name_of"]

_NOT_OF_LOCK = ("setuptools", "wheel", "pip")
"""What runs has no part in what is built with them."""


@dataclass(frozen=True, slots=True)
class ToolResolver:
    """Resolves build tools for one lock."""

    uv: Uv
    base: PythonBase
    platform: Platform
    options: tuple[str, ...]
    """The project's own, for uv: its indexes."""
    folder: Path
    """Where relative paths in `options` start."""
    pins: Mapping[str, str]
    """Name → version of the lock's packages: what is built against what runs works with it."""
    store: Store

    def resolve(
        self,
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        as_of: datetime | None,
        built: Sequence[LockedWheel],
        buildable: Collection[str],
        name: str,
    ) -> tuple[LockedWheel, ...]:
        """The tools as wheels, by the first way that comes to something.

        As of the date before today's, with the lock's versions and the limits before without.

        Args:
            requirements: PEP 508.
            constraints: limits.
            as_of: what was uploaded later does not count.
            built: wheels that were built here: they count as if the index had them.
            buildable: names of sources that could be built first.
            name: of the package that is built, for messages.

        Raises:
            UnsolvableError: there are none, or one of `buildable` is among those that are lacking.
            NotAllowedError, TryAgainError, UnavailableError: as the resolver.
        """
        declared = Requirements(
            path=f"the build of {name}",
            requirements=tuple(DeclaredRequirement(line, f"the build of {name}") for line in requirements),
            options=self.options,
        )
        first: ShipmlError | None = None
        with tempfile.TemporaryDirectory(prefix="shipml-") as scratch:
            links = self._links(built, Path(scratch))
            for limits, moment in self._strategies(name, constraints, as_of):
                exempt = tuple(wheel.name for wheel in built)
                question = Question(
                    declared,
                    self.base,
                    self.platform,
                    as_of=moment,
                    exempt=exempt,
                    constraints=limits,
                    links=links,
                )
                try:
                    return tuple(select_wheels(self.uv.resolve(question), self.base, self.platform, self.folder))
                except UvError as error:
                    problem = explain(error.stderr, self.base, self.platform, declared)
                    if not isinstance(problem, UnsolvableError):
                        raise problem from error
                    first = first or problem
                    if not {name_of(line) for line in problem.lacking}.isdisjoint(buildable):
                        raise problem from error
        raise first or ResolutionError(f"nothing is known of what builds {name}")

    def _strategies(
        self, name: str, constraints: Sequence[str], as_of: datetime | None
    ) -> Iterator[tuple[tuple[str, ...], datetime | None]]:
        """(limits, date) in order."""
        asked = tuple(constraints)
        named = {name, *_NOT_OF_LOCK, *(name_of(line) for line in asked if "==" in line)}
        of_lock = {one: f"{one}=={version}" for one, version in self.pins.items() if one not in named}
        # limits by date alone say less than the lock: numpy<2 where the lock has numpy 2 would exclude each other
        limits = tuple(line for line in asked if name_of(line) not in of_lock)
        seen = set()
        for moment in moments(as_of, datetime.now(UTC)):
            for way in ((*limits, *of_lock.values()), asked, ()):
                if (way, moment) not in seen:
                    seen.add((way, moment))
                    yield way, moment

    def _links(self, built: Sequence[LockedWheel], folder: Path) -> Path | None:
        """A folder with the built wheels under their names."""
        for wheel in built:
            place = folder / wheel.filename
            blob = self.store.blob_path(wheel.digest)
            try:
                os.link(blob, place)
            except OSError:  # another file system
                place.symlink_to(blob)
        return folder if built else None


def name_of(line: str) -> str:
    """The name in a requirement, normalised."""
    from packaging.utils import canonicalize_name

    for mark in "<>=!~[;@ ":
        line = line.partition(mark)[0]
    return canonicalize_name(line)
