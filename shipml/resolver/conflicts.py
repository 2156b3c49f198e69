"""Looking a resolution through for packages that can't work together, and holding them back."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shipml.facts.plan import Decision
from shipml.facts.releases import Survey, cutoff
from shipml.lock.choosing import fits
from shipml.resolver.compatibility import (
    Doubt,
    Resolved,
    built_for_numpy_1,
    doubts,
    is_newer_series,
    might_have_doubts,
    upper_bound,
)
from shipml.resolver.release_lookup import filename, uploaded_at
from shipml.resolver.uv import (
    Question,
    Uv,
    UvError,
    python_arguments,
)

__all__ = ["Held", "hold_back"]

_ROUNDS = 4
"""A package that is held back can bring others of its time with it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A resolution whose packages go together, as far as their dates tell."""

    document: Mapping[str, Any]
    decisions: tuple[Decision, ...] = ()


def hold_back(uv: Uv, question: Question, document: Mapping[str, Any], survey: Survey) -> Held:
    """The resolution, asked for again with upper bounds where it holds what can't work together.

    Bounds that leave no solution are given up, those that are in the way alone.

    Raises:
        UvError: the index cannot be asked.
    """
    held, fixed = Held(document), {pin.name for pin in survey.pins}
    for _ in range(_ROUNDS):
        packages = tuple(_packages(held.document, question, survey, fixed))
        if not might_have_doubts(packages):
            return held
        bounds = _bounds(uv, question, packages)
        if not bounds:
            return held
        fixed.update(bound.partition("<")[0] for bound in bounds)
        question, within, kept = _within(uv, question, bounds)
        if within is None:
            return held
        held = Held(within, (*held.decisions, *(bounds[bound] for bound in kept)))
    return held


def _within(
    uv: Uv, question: Question, bounds: Collection[str]
) -> tuple[Question, dict[str, Any] | None, tuple[str, ...]]:
    """The resolution within as many of `bounds` as fit together, and these; None where not even one does."""
    kept, dropped = list(bounds), list[str]()
    document: dict[str, Any] | None = None
    while kept and document is None:
        try:
            document = uv.resolve(question.because_of(*kept))
        except UvError as error:
            dropped.append(kept.pop(_in_the_way(kept, error.stderr)))
    for bound in dropped[:-1]:  # the last one is known to be in the way of those that are kept
        try:
            document = uv.resolve(question.because_of(*kept, bound))
        except UvError:
            continue
        kept.append(bound)
    return question.because_of(*kept), document, tuple(bound for bound in bounds if bound in kept)


def _in_the_way(bounds: Sequence[str], stderr: str) -> int:
    """Which of the bounds uv names in its words; the last where it names none."""
    named = set(re.findall(r"[a-z0-9][a-z0-9._-]*", stderr.lower()))
    found = (number for number, bound in enumerate(bounds) if bound.partition("<")[0] in named)
    return next(found, len(bounds) - 1)


def _bounds(uv: Uv, question: Question, packages: Sequence[Resolved]) -> dict[str, Decision]:
    """Constraints, each with why."""
    parents = uv.parents(question)
    found: dict[str, Decision] = {}
    binary = built_for_numpy_1(packages, parents)
    if binary is not None:
        because = f"{_dated(binary)} holds extension modules, built for numpy 1 before there was a numpy 2"
        found["numpy<2"] = Decision("held back", "numpy<2", because)
    found_out = [one for one in doubts(packages, parents) if one.child.name != "numpy" or binary is None]
    for doubt, before in _versions_before(uv, question, found_out):
        if is_newer_series(doubt.child.version, before) and _was_superseded(uv, question, doubt):
            bound = f"{doubt.child.name}<{upper_bound(before)}"
            found[bound] = Decision("held back", bound, _why(doubt, before))
    return found


def _versions_before(uv: Uv, question: Question, found: Sequence[Doubt]) -> Iterator[tuple[Doubt, str]]:
    """Each doubt with the version of the child that one got when its parent was new; one run of uv a parent."""
    by_parent: dict[str, list[Doubt]] = {}
    for doubt in found:
        by_parent.setdefault(doubt.parent.name, []).append(doubt)
    for those in by_parent.values():
        known = _versions_at(uv, question, [one.child.name for one in those], those[0].at)
        yield from ((one, known[one.child.name]) for one in those if one.child.name in known)


def _was_superseded(uv: Uv, question: Question, doubt: Doubt) -> bool:
    """Whether the parent had newer releases when its dependency's was made: if not, the two were used together."""
    if doubt.child.uploaded_at is None:
        return False
    parent = doubt.parent
    return _versions_at(uv, question, [parent.name], doubt.child.uploaded_at).get(parent.name) != parent.version


def _why(doubt: Doubt, before: str) -> str:
    child = doubt.child
    return f"{_dated(doubt.parent)} needs {child.name} and was released with {before}, long before {child.version}"


def _dated(package: Resolved) -> str:
    return f"{package.name} {package.version} of {package.uploaded_at:%Y-%m-%d}"


def _versions_at(uv: Uv, question: Question, names: Sequence[str], at: datetime) -> dict[str, str]:
    """The versions that one would have got at that time; those that there were none of are left out."""
    target = python_arguments(question.base, question.platform)
    time = cutoff(at).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        document = uv.files_of(names, question.declared.options, *target, "--exclude-newer", time)
    except UvError:
        if len(names) == 1:
            return {}
        return {name: one for each in names for name, one in _versions_at(uv, question, [each], at).items()}
    return {str(package["name"]): str(package.get("version", "")) for package in document.get("packages", ())}


def _packages(
    document: Mapping[str, Any], question: Question, survey: Survey, fixed: Collection[str]
) -> Iterable[Resolved]:
    """The packages of a resolution; what was held back counts as pinned: it holds back others of its time."""
    fitting = fits(question.base, question.platform)
    for package in document.get("packages", ()):
        wheels = [file for file in package.get("wheels", ()) if fitting(filename(file))]
        times = [time for file in wheels if (time := uploaded_at(file)) is not None]
        name = str(package["name"])
        release = survey.releases.get(name)
        yield Resolved(
            name=name,
            version=str(package.get("version", "0")),
            uploaded_at=release.uploaded_at if release is not None else min(times, default=None),
            compiled=any(not filename(file).endswith("-none-any.whl") for file in wheels),
            pinned=name in fixed,
        )
