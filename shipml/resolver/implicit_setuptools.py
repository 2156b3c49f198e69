"""What virtual environments had without being asked: before Python 3.12 that was setuptools.

Packages of that time import pkg_resources and never ask for it. An image with just what was asked for would lack it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from shipml.facts.plan import Decision, LockedWheel
from shipml.facts.project import Lock
from shipml.facts.pythons import PythonBase
from shipml.resolver.uv import Uv, UvError, python_arguments

__all__ = ["seed_decisions", "seed_wheels"]

_SEED = "setuptools"
_REQUIREMENT = "setuptools<81"
"""The last that has pkg_resources."""
_FIRST_WITHOUT = (3, 12)


def seed_wheels(
    uv: Uv, lock: Lock, base: PythonBase, as_of: datetime | None, options: Sequence[str]
) -> tuple[LockedWheel, ...]:
    """What a virtual environment of that Python and time had besides; () where the index does not have it.

    Args:
        uv: asks the index.
        lock: what was resolved.
        base: whose Python it is for.
        as_of: the day of the index; None is today, when packages ask for what they need.
        options: of the project, about indexes.
    """
    from shipml.lock import select_wheels

    minor = tuple(int(part) for part in base.python.split("."))
    if as_of is None or minor >= _FIRST_WITHOUT or any(wheel.name == _SEED for wheel in lock.wheels):
        return ()
    arguments = (*python_arguments(base, lock.platform), "--exclude-newer", as_of.strftime("%Y-%m-%dT%H:%M:%SZ"))
    try:
        document = uv.files_of([_REQUIREMENT], options, "--only-binary", ":all:", *arguments)
    except UvError:
        return ()
    return tuple(select_wheels(document, base, lock.platform, Path()))


def seed_decisions(seeds: Sequence[LockedWheel], python: str) -> Iterator[Decision]:
    """What was added, and why."""
    because = f"older packages for Python {python} expect to find it (pkg_resources)"
    yield from (Decision("added", f"{wheel.name} {wheel.version}", because, "added") for wheel in seeds)
