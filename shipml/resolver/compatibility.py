"""Packages that resolve but can't work together: found by when each was released, before anything is built.

A package that was released before a new major version of what it depends on cannot have been tried with it, and most
old packages set no upper bound: Flask 2.1 takes Werkzeug 3, pandas 1.5 takes numpy 2, and both die when imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Doubt", "Resolved", "built_for_numpy_1", "doubts", "is_near", "is_newer_series", "upper_bound"]

NUMPY_2_BINARIES = datetime(2024, 4, 1, tzinfo=UTC)
"""Extension modules that were built before are built for numpy 1: numpy 2.0.0rc1, the first that others could build
for, is of that day; what was built for numpy 1 says "numpy.dtype size changed" or "_ARRAY_API not found" under 2."""
_LATER = timedelta(days=90)
_CALENDAR = 20
"""Leading numbers from here on count years or quarters (attrs 25, pytz 2025, pyarrow 21), and say nothing of breaks."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A package of a resolution."""

    name: str
    version: str
    uploaded_at: datetime | None
    """Of the wheel that was taken."""
    compiled: bool
    """Whether the wheel holds extension modules."""
    pinned: bool
    """Whether the project says the version."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A dependency that is much newer than what depends on it."""

    child: Resolved
    parent: Resolved
    at: datetime
    """When the parent was released: its dependency as it was then is known to go with it."""


def doubts(packages: Sequence[Resolved], parents: Mapping[str, Sequence[str]]) -> tuple[Doubt, ...]:
    """The dependencies that the project leaves open and that are newer than a pinned package that needs them.

    Args:
        packages: of the resolution.
        parents: by name, who needs it.
    """
    by_name = {one.name: one for one in packages}
    return tuple(
        doubt
        for child in packages
        if not child.pinned
        and (doubt := _doubt(child, [by_name[n] for n in parents.get(child.name, ()) if n in by_name]))
    )


def _doubt(child: Resolved, parents: Sequence[Resolved]) -> Doubt | None:
    """By the oldest of the pinned parents."""
    dated = [(one.uploaded_at, one.name, one) for one in parents if one.pinned and one.uploaded_at is not None]
    if not dated or child.uploaded_at is None:
        return None
    at, _, oldest = min(dated, key=lambda item: item[:2])
    return Doubt(child, oldest, at) if child.uploaded_at - at > _LATER else None


def might_have_doubts(packages: Sequence[Resolved]) -> bool:
    """Whether it is worth asking who needs what."""
    pinned = [one.uploaded_at for one in packages if one.pinned and one.uploaded_at is not None]
    left_open = [one.uploaded_at for one in packages if not one.pinned and one.uploaded_at is not None]
    newer = bool(pinned and left_open) and max(left_open) - min(pinned) > _LATER
    return newer or (_has_numpy_2(packages) and any(_is_old_binary(one) for one in packages))


def built_for_numpy_1(packages: Sequence[Resolved], parents: Mapping[str, Sequence[str]]) -> Resolved | None:
    """The package with extension modules of before numpy 2 that needs numpy, where numpy 2 or later was taken."""
    if not _has_numpy_2(packages):
        return None
    return next(_needing_numpy(packages, parents), None)


def _needing_numpy(packages: Sequence[Resolved], parents: Mapping[str, Sequence[str]]) -> Iterator[Resolved]:
    for one in packages:
        if one.name in parents.get("numpy", ()) and _is_old_binary(one):
            yield one


def _is_old_binary(one: Resolved) -> bool:
    return one.compiled and one.uploaded_at is not None and one.uploaded_at < NUMPY_2_BINARIES and one.name != "numpy"


def _has_numpy_2(packages: Sequence[Resolved]) -> bool:
    return any(one.name == "numpy" and not one.pinned and _leading(one.version) >= 2 for one in packages)  # noqa: PLR2004


def is_newer_series(version: str, than: str) -> bool:
    """Whether `version` may break what was made for `than`: its first number is larger.

    Versions that count years break nothing by that, and those below 1 promise nothing that could be broken.
    """
    new, old = _leading(version), _leading(than)
    return new > old and new < _CALENDAR


def is_near(version: str, to: str) -> bool:
    """Whether a later version can stand for `to`: of the same major version, or the 1 that a 0 became."""
    new, old = _leading(version), _leading(to)
    return new == old or (old, new) == (0, 1)


def upper_bound(version: str) -> str:
    """The first version of the next series: "3" for 2.1.4."""
    return str(_leading(version) + 1)


def _leading(version: str) -> int:
    """2 of 2.3.1 (semantic versioning 2.0.0, section 8)."""
    number = version.rpartition("!")[2].partition(".")[0]
    return int(number) if number.isdecimal() else 0
