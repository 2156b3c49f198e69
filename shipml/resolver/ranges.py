"""Requirements that name a range: its lower end says when a project cannot have been older, its upper end when it was.

`>=2.3` means that 2.3 was there; `~=2.1.0`, `==2.6.*` and `<2` leave out what came later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shipml.facts.releases import Pin
from shipml.facts.requirements import DeclaredRequirement, Requirements
from shipml.resolver.pins import asked_on_linux, normalised
from shipml.resolver.release_lookup import survey_ceilings, survey_floors
from shipml.resolver.uv import Uv

if TYPE_CHECKING:
    from packaging.specifiers import Specifier

__all__ = ["dated_ceilings", "dated_floors", "has_ceiling"]


def dated_floors(uv: Uv, declared: Requirements) -> Iterator[tuple[Pin, datetime]]:
    """The oldest releases that the requirements allow, and when they were uploaded."""
    floors = dict(_ranges(declared.requirements, _is_floor))
    if not floors:
        return
    pins = {pin.name: pin for pin in floors.values()}
    for name, release in survey_floors(uv, floors, declared.options).items():
        if release.uploaded_at is not None:
            yield replace(pins[name], version=release.version), release.uploaded_at


def dated_ceilings(uv: Uv, declared: Requirements) -> Iterator[tuple[Pin, datetime]]:
    """The newest releases that ranges with an upper end allow, where that end leaves newer ones out."""
    ceilings = dict(_ranges((*declared.requirements, *declared.constraints), _is_ceiling))
    if not ceilings:
        return
    pins = {pin.name: pin for pin in ceilings.values()}
    for name, release in survey_ceilings(uv, ceilings, declared.options).items():
        if release.uploaded_at is not None:
            yield replace(pins[name], version=release.version), release.uploaded_at


def has_ceiling(one: DeclaredRequirement) -> bool:
    """Whether a requirement says up to which version, or which one."""
    requirement = asked_on_linux(one)
    return requirement is not None and any(_is_ceiling(spec) or _is_exact(spec) for spec in requirement.specifier)


def _ranges(asked: tuple[DeclaredRequirement, ...], counts: Callable[[Specifier], bool]) -> Iterator[tuple[str, Pin]]:
    """Each range as it is written, with what stands for it."""
    for one in asked:
        requirement = asked_on_linux(one)
        if requirement is None or any(map(_is_exact, requirement.specifier)):
            continue
        if any(map(counts, requirement.specifier)):
            name = normalised(requirement.name)
            yield f"{requirement.name}{requirement.specifier}", Pin(name, str(requirement.specifier), one.source)


def _is_exact(spec: Specifier) -> bool:
    return spec.operator in ("==", "===") and not spec.version.endswith(".*")


def _is_floor(spec: Specifier) -> bool:
    return spec.operator in (">=", ">", "~=") or _is_series(spec)


def _is_ceiling(spec: Specifier) -> bool:
    return spec.operator in ("<", "<=", "~=") or _is_series(spec)


def _is_series(spec: Specifier) -> bool:
    return spec.operator == "==" and spec.version.endswith(".*")
