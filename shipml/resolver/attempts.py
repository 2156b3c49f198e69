"""The attempts to resolve, in an order that ends; what each came to is kept and said.

As of each date (`plan/dating.py` says which, and in which order) each Python is tried, those for which a pin has no
wheel left out without asking. What resolves is looked through for packages that can't work together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shipml.errors import ResolutionError
from shipml.events import Emit, Notice
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan.dating import Dating, datings
from shipml.plan.declared import Change, Declared
from shipml.plan.facts import Lock, Project, RefusedPython
from shipml.plan.model import Decision
from shipml.plan.python_version import PythonCandidate
from shipml.plan.releases import Survey
from shipml.plan.suites import PythonBase
from shipml.resolver.errors import Refusal, UnsolvableError, explain, no_python_fits
from shipml.resolver.pins import known_pins, mended
from shipml.resolver.survey import survey_pins
from shipml.resolver.together import hold_back
from shipml.resolver.uv import Question, Uv, UvError

__all__ = ["Found", "find_lock"]


@dataclass(frozen=True, slots=True)
class Found:
    """What the attempts came to."""

    candidate: PythonCandidate
    lock: Lock


@dataclass(slots=True)
class _Work:
    """What all attempts share."""

    project: Project
    declared: Declared
    candidates: Sequence[PythonCandidate]
    platform: Platform
    inputs: Digest
    uv: Uv
    emit: Emit
    survey: Survey = field(default_factory=Survey)
    overrides: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class _Failure:
    """An attempt, as of one date, that came to nothing."""

    dating: Dating
    refusals: tuple[Refusal, ...]


def find_lock(
    project: Project,
    candidates: Sequence[PythonCandidate],
    *,
    platform: Platform,
    inputs: Digest,
    uv: Uv,
    emit: Emit,
    now: datetime | None = None,
) -> Found:
    """The first attempt that comes to something.

    Raises:
        ResolutionError: none does; says the cause.
        NotAllowedError, TryAgainError, UnavailableError, ConfigurationError: as `shipml.resolver.resolve_first`.
    """
    declared = project.requirements
    if declared is None:
        raise ResolutionError("nothing is asked for")
    work = _Work(project, declared, candidates, platform, inputs, uv, emit)
    _look_at_pins(work)
    failures: list[_Failure] = []
    for dating in _datings(work, now or datetime.now(UTC)):
        refusals: list[Refusal] = []
        for candidate in candidates:
            try:
                lock = _attempt(work, dating, candidate)
            except UnsolvableError as error:
                refusals.append(Refusal(RefusedPython(candidate.suite.python, error.short), error))
                continue
            return Found(candidate, _told(work, lock, dating, failures, refusals))
        failures.append(_Failure(dating, tuple(refusals)))
        emit(Notice(f"{dating.words} has no set of packages that fits: {_because(failures[-1])}"))
    raise no_python_fits(failures[0].refusals)


def _look_at_pins(work: _Work) -> None:
    """Find out what there is of the pins; what never existed is replaced by its neighbour, or named."""
    pins = known_pins(work.project)
    work.constraints = tuple(str(pin) for pin in pins if not pin.declared)
    work.decisions = tuple(
        Decision("version", str(pin), f"{pin.source} was made with it") for pin in pins if not pin.declared
    )
    if not pins:
        return
    options = work.declared.options
    try:
        work.survey = survey_pins(work.uv, pins, options)
        if work.survey.missing:
            mending = mended(work.uv, work.survey, options, work.candidates[0].suite)
            work.overrides, work.changes = mending.overrides, mending.changes
            work.survey = survey_pins(work.uv, mending.pins, options)
    except UvError as error:
        problem = explain(error.stderr, work.candidates[0].suite, work.platform, work.declared)
        if not isinstance(problem, ResolutionError):
            raise problem from error


def _datings(work: _Work, now: datetime) -> tuple[Dating, ...]:
    fixed = bool(os.environ.get("UV_EXCLUDE_NEWER")) or any(
        "exclude-newer" in text for name, text in work.declared.inputs if "uv" in name
    )
    revision = work.project.revision
    committed_at = None if revision is None else datetime.fromtimestamp(revision.committed_at_seconds, UTC)
    return datings(work.survey, now=now, committed_at=committed_at, fixed=fixed)


def _attempt(work: _Work, dating: Dating, candidate: PythonCandidate) -> Lock:
    """One Python as of one date.

    Raises:
        UnsolvableError: nothing fits it.
        ShipmlError: it is of no use to go on.
    """
    base = candidate.suite
    lacking = _without_wheel(work.survey, base, work.platform)
    if lacking:
        raise UnsolvableError.no_wheel(lacking, base, work.platform)
    question = Question(
        work.declared,
        base,
        work.platform,
        as_of=dating.as_of,
        exempt=tuple(pin.name for pin in work.survey.pins),
        constraints=work.constraints,
        overrides=work.overrides,
    )
    try:
        document = work.uv.resolve(question)
        held = hold_back(work.uv, question, document, work.survey)
    except UvError as error:
        raise explain(error.stderr, base, work.platform, work.declared) from error
    from shipml.lock_file import select_wheels  # noqa: PLC0415 - not needed where the resolution is known

    wheels = select_wheels(held.document, base, work.platform, work.project.folder)
    return Lock(tuple(wheels), base.name, base.python, work.platform, work.inputs, decisions=held.decisions)


def _without_wheel(survey: Survey, base: PythonBase, platform: Platform) -> tuple[str, ...]:
    """The pins that have no wheel for a Python, as they are written."""
    from shipml.resolver.fitting import fits  # noqa: PLC0415 - as above

    fitting = fits(base, platform)
    return tuple(
        str(pin)
        for pin in survey.pins
        if (release := survey.releases.get(pin.name)) is not None and not any(map(fitting, release.wheels))
    )


def _told(work: _Work, lock: Lock, dating: Dating, failures: Sequence[_Failure], refusals: Sequence[Refusal]) -> Lock:
    """The lock with all that was decided on the way."""
    decisions = list(work.decisions)
    if dating.as_of is not None:
        because = f"{dating.because}, and what the project leaves open is taken as it was then"
        decisions.append(Decision("index", f"as of {dating.as_of:%Y-%m-%d}", because))
    decisions += [Decision("tried", one.dating.words, f"nothing fits: {_because(one)}") for one in failures]
    decisions += lock.decisions
    return replace(
        lock,
        refused=tuple(one.python for one in refusals),
        decisions=tuple(decisions),
        changes=work.changes,
    )


def _because(failure: _Failure) -> str:
    """Why an attempt came to nothing, each reason once."""
    reasons: dict[str, list[str]] = {}
    for refusal in failure.refusals:
        reasons.setdefault(refusal.python.because, []).append(refusal.python.python)
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{', '.join(pythons)}: {reason}" for reason, pythons in reasons.items())
