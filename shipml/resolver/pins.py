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
from shipml.resolver.release_lookup import nearest_versions, series
from shipml.resolver.uv import Uv, UvError

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import Specifier

__all__ = ["Corrected", "corrected", "known_floors", "known_pins"]


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


def known_floors(declared: Requirements) -> dict[str, Pin]:
    """The requirements that name a least version, as they are written, each with what stands for it."""
    found: dict[str, Pin] = {}
    for one in declared.requirements:
        requirement = _requirement(one)
        if requirement is not None and any(map(_is_floor, requirement.specifier)):
            plain = f"{requirement.name}{requirement.specifier}"
            found[plain] = Pin(_normalised(requirement.name), str(requirement.specifier), one.source)
    return found


def _is_floor(spec: Specifier) -> bool:
    return spec.operator in (">=", ">", "~=") or spec.version.endswith(".*")


def nearest_newer(uv: Uv, pin: Pin, options: Sequence[str], base: PythonBase) -> Pin | None:
    """`pin` or the next release after it that has a wheel for the Python of `base`; None where there is none."""
    order = ("--resolution", "lowest", "--python-version", base.release)
    try:
        return replace(pin, version=uv.version_of(f"{pin.name}>={pin.version}", options, *order))
    except UvError:
        return None


def _pin(one: DeclaredRequirement) -> Pin | None:
    """The version that the line fixes, if it does so on Linux, for a release of an index."""
    requirement = _requirement(one)
    if requirement is None:
        return None
    fixed = [spec.version for spec in requirement.specifier if spec.operator in ("==", "===")]
    if len(fixed) != 1 or fixed[0].endswith(".*"):
        return None
    name = _normalised(requirement.name)
    public = fixed[0].partition("+")[0] if name in PYTORCH_BUILDS else fixed[0]  # their builds are of another index
    return Pin(name, public, one.source)


def _requirement(one: DeclaredRequirement) -> Requirement | None:
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


def _normalised(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def corrected(uv: Uv, survey: Survey, options: Sequence[str], base: PythonBase) -> Corrected:
    """The pins with each that never existed replaced by the nearest release of its series.

    Raises:
        ResolutionError: some have no neighbour in their series; names them all, with what there is.
    """
    declared = [one.pin for one in survey.missing if one.pin.declared]
    missing = [MissingPin(pin, nearest_versions(uv, pin, options, base)) for pin in declared]
    gone = {one.pin.name for one in survey.missing if not one.pin.declared}
    hopeless = [one for one in missing if not _in_series(one)]
    if hopeless:
        raise ResolutionError("; ".join(map(_described, hopeless)), hint=_remedy(hopeless))
    replaced = {one.pin.name: Pin(one.pin.name, one.nearest[0], one.pin.source) for one in missing}
    pins = tuple(replaced.get(pin.name, pin) for pin in survey.pins if pin.name not in gone)
    return Corrected(pins, tuple(map(str, replaced.values())), tuple(_changes(missing)))


def _in_series(one: MissingPin) -> bool:
    return bool(one.nearest) and series(one.nearest[0]) == series(one.pin.version)


def _changes(missing: Sequence[MissingPin]) -> Iterator[Correction]:
    for one in missing:
        after = f"{one.pin.name}=={one.nearest[0]}"
        because = f"{one.pin} does not exist on the index; this is the nearest release of its series"
        yield Correction("version", str(one.pin), after, because, one.pin.source)


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
