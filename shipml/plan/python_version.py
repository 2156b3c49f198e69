"""Which Python, and with it which base: what the project says, else the newest first, Debian's before other images'."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shipml.errors import PlanError
from shipml.facts.project import Project, PythonEvidence
from shipml.facts.pythons import (
    HUB_PYTHONS,
    SUITES,
    ImagePython,
    PythonBase,
    Suite,
    suite_named,
)

__all__ = ["PythonCandidate", "base_image", "python_candidates"]

_VERSION = re.compile(r"(?:python-|cpython[-@])?3\.(?P<minor>\d{1,2})(?:\.\d+)?(?:(?:a|b|rc)\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PythonCandidate:
    """A base whose Python the project allows."""

    suite: PythonBase
    because: str
    """A clause that completes "because …": where the project says so."""
    open: bool = False
    """Whether newer ones may be refused in its favour: the project names no single version."""
    instead_of: str = ""
    """What the project asks for, where this is another: taken only where that is not available, and reported."""
    source: str = ""
    """`FILE:LINE` of `instead_of`."""


def base_image(base: str | None) -> str | None:
    """What `base` names where that is an image of a registry; None for Debian's suites and where nothing is named."""
    if not base or base == "debian" or base.startswith("debian:") or suite_named(base):
        return None
    return base


def python_candidates(
    project: Project, requested: str | None = None, base: str | None = None, image: ImagePython | None = None
) -> list[PythonCandidate]:
    """The bases to try, in this order; the first for which a resolution exists is taken.

    A version that the project's files ask for comes first, and its neighbours after it, marked by `instead_of`.

    Args:
        project: the facts.
        requested: as `--python` takes it ("3.11"); None where it was not given.
        base: as `--base` takes it ("debian:bookworm", "python:3.12-slim"); None falls back to the settings.
        image: what was found out of the image that the base names (see `base_image`), if it names one.

    Raises:
        PlanError: no suite fits; says which Pythons there are and what to change.
    """
    named = base or project.settings.base
    suites = _suites_of_base(named, image)
    evidence = _evidence(project, requested)
    fixed = next((item for item in evidence if item.kind == "version"), None)
    ranges = [item for item in evidence if item.kind == "range"]
    if fixed is not None:
        return _of_version(fixed, suites, ranges, named, hard=_is_order(fixed, project))
    allowed = [suite for suite in suites if all(_allows(item, suite) for item in ranges)]
    if not allowed:
        raise PlanError(
            f"{ranges[0].source} wants Python {ranges[0].value}, which {_whose(suites)}",
            hint=f"{_available(suites)}; widen the range, or choose another base",
        )
    because = _because(ranges, named)
    found = [PythonCandidate(suite, because, open=len(allowed) > 1) for suite in allowed]
    return [*found, *_beyond(ranges, suites, allowed)]


def _of_version(
    evidence: PythonEvidence,
    suites: Sequence[PythonBase],
    ranges: Sequence[PythonEvidence],
    base: str | None,
    *,
    hard: bool,
) -> list[PythonCandidate]:
    """The version that is asked for; unless that is an order, then its neighbours: newer ones first, nearest first."""
    if hard:
        return [_fixed(evidence, suites, ranges, base)]
    wanted = _minor_of(evidence)
    has_it = any(_age(suite) == wanted for suite in suites)
    first = [_fixed(evidence, suites, ranges, base)] if has_it else []
    others = [suite for suite in suites if _age(suite) != wanted and all(_allows(item, suite) for item in ranges)]
    others.sort(key=lambda suite: (_age(suite) < wanted, abs(_age(suite)[1] - wanted[1])))
    if not first and not others:
        return [_fixed(evidence, suites, ranges, base)]
    return first + [_instead(evidence, suite) for suite in others]


def _beyond(
    ranges: Sequence[PythonEvidence], suites: Sequence[PythonBase], allowed: Sequence[PythonBase]
) -> list[PythonCandidate]:
    """Newer Pythons than a range allows, the nearest first: for the case that none in it is available."""
    upper = max(map(_age, allowed))
    newer = sorted((suite for suite in suites if _age(suite) > upper), key=_age)
    outside = [(suite, next((item for item in ranges if not _allows(item, suite)), None)) for suite in newer]
    return [_instead(item, suite) for suite, item in outside if item is not None]


def _instead(evidence: PythonEvidence, suite: PythonBase) -> PythonCandidate:
    because = f"{evidence.source} asks for {evidence.value}, for which nothing fits"
    return PythonCandidate(suite, because, instead_of=evidence.value, source=evidence.source)


def _is_order(evidence: PythonEvidence, project: Project) -> bool:
    """Whether the version was said to shipml itself: others' files speak of the machine where it once ran."""
    settings = project.settings
    of_settings = bool(settings.source) and evidence.source.startswith(settings.source)
    return evidence.source == "--python" or (of_settings and evidence.value == settings.python)


def _minor_of(evidence: PythonEvidence) -> tuple[int, ...]:
    match = _VERSION.fullmatch(evidence.value)
    return (3, int(match["minor"])) if match else (3, 0)


def _evidence(project: Project, requested: str | None) -> list[PythonEvidence]:
    """What counts, strongest first: names of environments (pyenv) and other interpreters say nothing to us."""
    if requested is not None:
        if not _VERSION.fullmatch(requested):
            raise PlanError(f"--python {requested} is not a version", hint="write it as 3.11")
        return [PythonEvidence(requested, "--python", "version")]
    return [item for item in project.python_evidence if item.kind == "range" or _VERSION.fullmatch(item.value)]


def _suites_of_base(base: str | None, image: ImagePython | None) -> Sequence[PythonBase]:
    if image is not None:
        return (image,)
    if base is None:
        return (*SUITES, *HUB_PYTHONS)
    if base == "debian":
        return SUITES
    name = base.removeprefix("debian:")
    suite = suite_named(name)
    if suite is None:
        known = ", ".join(f"debian:{one.name}" for one in SUITES)
        close = difflib.get_close_matches(name, [one.name for one in SUITES], n=1)
        near = f"did you mean debian:{close[0]}? else " if close else ""
        raise PlanError(
            f'unknown base "{base}"',
            hint=f"{near}use one of {known}, or an image that has Python, such as python:3.12-slim",
        )
    return (suite,)


def _fixed(
    evidence: PythonEvidence, suites: Sequence[PythonBase], ranges: Iterable[PythonEvidence], base: str | None
) -> PythonCandidate:
    match = _VERSION.fullmatch(evidence.value)
    minor = f"3.{match['minor']}" if match else evidence.value
    suite = next((one for one in suites if one.python == minor), None)
    if suite is None:
        file = evidence.source.partition(":")[0]
        change = "" if file == "--python" else f"change {file}, or "
        raise PlanError(
            f"{evidence.source} asks for Python {minor}, which {_whose(suites)}",
            hint=f"{_available(suites)}; {change}{_another(suites)}",
        )
    for item in ranges:
        if not _allows(item, suite):
            raise PlanError(
                f"{evidence.source} asks for Python {minor}, but {item.source} wants {item.value}",
                hint="change one of the two",
            )
    also = f", on the base {base}" if base else ""
    return PythonCandidate(suite, f"{evidence.source} says {evidence.value}{also}")


def _allows(evidence: PythonEvidence, suite: PythonBase) -> bool:
    """Whether the range admits the suite's Python."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(evidence.value).contains(suite.release, prereleases=True)
    except InvalidSpecifier as error:
        raise PlanError(
            f'{evidence.source}: "{evidence.value}" is not a range of versions', hint='write it as ">=3.10"'
        ) from error


def _because(ranges: Sequence[PythonEvidence], base: str | None) -> str:
    parts = [f"the base is {base}"] if base else []
    parts += [f"{item.source} allows {item.value}" for item in ranges]
    return " and ".join(parts)


def _whose(suites: Sequence[PythonBase]) -> str:
    if len(suites) == 1:
        kind = "Debian" if isinstance(suites[0], Suite) else "the base"
        return f"{kind} {suites[0].name} does not have"
    debian = all(isinstance(suite, Suite) for suite in suites)
    return "Debian does not have" if debian else "no known base has"


def _available(suites: Iterable[PythonBase]) -> str:
    found = ", ".join(f"{suite.python} ({suite.name})" for suite in sorted(suites, key=_age))
    return f"there is {found}"


def _another(suites: Sequence[PythonBase]) -> str:
    return f"try --python {suites[0].python}" if len(suites) > 1 else "choose another --base"


def _age(suite: PythonBase) -> tuple[int, ...]:
    return tuple(int(part) for part in suite.python.split("."))
