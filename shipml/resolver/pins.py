"""The versions that a project fixes, and what replaces those that do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shipml.errors import ResolutionError
from shipml.facts.gpu_packages import PYTORCH_BUILDS
from shipml.facts.pythons import PythonBase
from shipml.facts.releases import MissingPin, Pin, Survey
from shipml.facts.requirements import Correction, DeclaredRequirement, Requirements
from shipml.lock.choosing import marker_holds
from shipml.resolver.compatibility import is_near, upper_bound
from shipml.resolver.release_lookup import nearest_versions, series
from shipml.resolver.uv import Uv, UvError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = [
    "Corrected",
    "asked_on_linux",
    "can_stand_for",
    "corrected",
    "known_pins",
    "nearest_newer",
    "normalised",
    "why_instead",
]


_LINUX = tuple(
    {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.9",
        "extra": "",
    }
    for machine in ("x86_64", "aarch64")
    for python in ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
)
"""Environments for which a marker may hold (PEP 508)."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """Pins with those that never existed replaced."""

    pins: tuple[Pin, ...]
    overrides: tuple[str, ...]
    changes: tuple[Correction, ...]


def known_pins(declared: Requirements) -> tuple[Pin, ...]:
    """The pins of the requirements and constraints that count on Linux, each name once."""
    found: dict[str, Pin] = {}
    for one in (*declared.requirements, *declared.constraints):
        pin = _pin(one)
        if pin is not None:
            found.setdefault(pin.name, pin)
    return tuple(found.values())


def nearest_newer(uv: Uv, pin: Pin, options: Sequence[str], base: PythonBase) -> Pin | None:
    """`pin` or the next release after it that has a wheel for the Python of `base`; None where there is none."""
    order = ("--resolution", "lowest", "--python-version", base.release)
    try:
        return replace(pin, version=uv.version_of(f"{pin.name}>={pin.version}", options, *order))
    except UvError:
        return None


def _pin(one: DeclaredRequirement) -> Pin | None:
    """The version that the line fixes, if it does so on Linux, for a release of an index."""
    requirement = asked_on_linux(one)
    if requirement is None:
        return None
    fixed = [spec.version for spec in requirement.specifier if spec.operator in ("==", "===")]
    if len(fixed) != 1 or fixed[0].endswith(".*"):
        return None
    name = normalised(requirement.name)
    public = fixed[0].partition("+")[0] if name in PYTORCH_BUILDS else fixed[0]  # their builds are of another index
    return Pin(name, public, one.source)


def asked_on_linux(one: DeclaredRequirement) -> Requirement | None:
    """The line, where it counts on Linux and names a release of an index."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(one.line.split(" --")[0].strip())
    except InvalidRequirement:
        return None
    if requirement.url:
        return None
    if not any(marker_holds(requirement, linux) for linux in _LINUX):
        return None
    return requirement


def normalised(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def corrected(uv: Uv, survey: Survey, options: Sequence[str]) -> Corrected:
    """The pins with each that does not exist replaced by the nearest release of its series, else the next with its API.

    Raises:
        ResolutionError: some have no such neighbour; names them all, with what there is.
    """
    declared = [one.pin for one in survey.missing if one.pin.declared]
    missing = [MissingPin(pin, nearest_versions(uv, pin, options)) for pin in declared]
    gone = {one.pin.name for one in survey.missing if not one.pin.declared}
    hopeless = [one for one in missing if not one.nearest or not can_stand_for(one.nearest[0], one.pin)]
    if hopeless:
        raise ResolutionError("; ".join(map(_described, hopeless)), hint=_remedy(hopeless))
    replaced = {one.pin.name: Pin(one.pin.name, one.nearest[0], one.pin.source) for one in missing}
    pins = tuple(replaced.get(pin.name, pin) for pin in survey.pins if pin.name not in gone)
    return Corrected(pins, tuple(map(str, replaced.values())), tuple(_changes(missing)))


def can_stand_for(version: str, pin: Pin) -> bool:
    """Whether a release may be taken for one that does not exist: of its series, or the next one, if it is near.

    The next major version is the last that may have the same API; whether it does, the import check shows.
    """
    from packaging.version import Version

    is_later = Version(version) > Version(pin.version)
    return series(version) == series(pin.version) or (
        is_later and (is_near(version, pin.version) or upper_bound(pin.version) == str(Version(version).major))
    )


def why_instead(version: str, pin: Pin) -> str:
    """Why that release is taken: a clause."""
    which = "nearest release of its series" if series(version) == series(pin.version) else "next release"
    return f"{pin} does not exist on the index; this is the {which}"


def _changes(missing: Sequence[MissingPin]) -> Iterator[Correction]:
    for one in missing:
        after = f"{one.pin.name}=={one.nearest[0]}"
        yield Correction("version", str(one.pin), after, why_instead(one.nearest[0], one.pin), one.pin.source)


def _described(one: MissingPin) -> str:
    if not one.nearest:
        return f"{one.pin.source}: the package index has no {one.pin.name}"
    return f"{one.pin.source}: {one.pin} does not exist on the index"


def _remedy(hopeless: Sequence[MissingPin]) -> str:
    known = [f"{one.pin.name}=={one.nearest[0]}" for one in hopeless if one.nearest]
    unknown = [one.pin.name for one in hopeless if not one.nearest]
    parts = [f"take {', '.join(known)}"] if known else []
    parts += [f"check how {', '.join(unknown)} is spelled, or remove it"] if unknown else []
    return "; ".join(parts)
