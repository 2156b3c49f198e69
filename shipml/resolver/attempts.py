"""The attempts to resolve, in an order that ends; what each came to is kept and said.

As of each date (`plan/dating.py` says which, and in which order) each Python is tried, those for which a pin has no
wheel left out without asking. What resolves is looked through for packages that can't work together.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from shipml.errors import ResolutionError
from shipml.events import Emit, Notice
from shipml.facts.plan import Decision, LockedSource
from shipml.facts.project import Lock, Project, RefusedPython
from shipml.facts.pythons import PythonBase, Suite
from shipml.facts.releases import Pin, Survey, cutoff
from shipml.facts.requirements import Learned
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan.accelerator import CPU, Accelerator
from shipml.plan.python_version import PythonCandidate
from shipml.resolver.accelerated import fit
from shipml.resolver.address_errors import UnreachableAddressError
from shipml.resolver.alternatives import helped, overridden, without_old_wheels
from shipml.resolver.causes import cause
from shipml.resolver.conflicts import hold_back
from shipml.resolver.context import (
    Work,
    apply_models,
    apply_pytorch,
    examine_pins,
    model_strategies,
    replace_address,
)
from shipml.resolver.dating import OLD_PINS, Dating, datings
from shipml.resolver.errors import (
    ObstacleError,
    Refusal,
    UnknownPackageError,
    UnsolvableError,
    explain,
)
from shipml.resolver.index_logins import asked_keyring, index_logins
from shipml.resolver.integrity import with_stated_files
from shipml.resolver.model_evidence import model_pins
from shipml.resolver.prereleases import resolved
from shipml.resolver.release_lookup import newest_source
from shipml.resolver.sliding import without_slides
from shipml.resolver.sources import Sources
from shipml.resolver.strategies import Failure, Found, Strategy, because_of, lacking_in, refuse_neighbour
from shipml.resolver.telling import told, with_moves
from shipml.resolver.their_time import in_their_time, with_later_ones
from shipml.resolver.uv import Question, Uv, UvError
from shipml.store import Store

__all__ = ["find_lock"]

_OBSTACLE_HINT = "name a mirror of Docker Hub: export SHIPML_HUB_MIRROR=HOST; or another Python: --python"
_PYTHONS_FROM_SOURCE = 4
_MOST_ROUNDS = 12
"""As often as packages without wheels come to light one after the other in one attempt."""


def find_lock(
    project: Project,
    candidates: Sequence[PythonCandidate],
    *,
    platform: Platform,
    inputs: Digest,
    uv: Uv,
    store: Store,
    emit: Emit,
    http: HttpClient | None = None,
    obstacle: Callable[[PythonBase], str] = lambda _: "",
    now: datetime | None = None,
    accelerator: Accelerator = CPU,
) -> Found:
    """The first attempt that comes to something.

    Raises:
        ResolutionError: none does; says the cause.
        NotAllowedError, TryAgainError, UnavailableError, ConfigurationError: as `shipml.resolver.resolve_first`.
    """
    declared = project.requirements
    if declared is None:
        raise ResolutionError("nothing is asked for")
    client = http or HttpClient()
    client.logins.learn(index_logins(declared, project.folder), keyring=asked_keyring())
    work = Work(project, declared, candidates, platform, inputs, uv, store, client, emit, obstacle)
    work.accelerator = accelerator
    apply_models(work)
    apply_pytorch(work)
    while True:
        try:
            return _found(work, now or datetime.now(UTC))
        except UnreachableAddressError as error:
            if not replace_address(work, error.source):
                raise


def _found(work: Work, now: datetime) -> Found:
    """The first attempt that comes to something; with what models and failed imports say, then without."""
    for learned, chosen_versions in _strengths(work, model_pins(work.project)):
        examine_pins(work, chosen_versions, learned)
        failures: list[Failure] = []
        found = _first(work, now, failures)
        if found is not None:
            return found
        if chosen_versions:
            words = ", ".join(f"{pin.source}: {pin}" for pin in chosen_versions)
            work.emit(Notice(f"nothing fits with what made the models ({words})", "warning"))
    raise cause(work, failures[0].refusals, failures[-1].refusals)


def _strengths(work: Work, of_models: tuple[Pin, ...]) -> Iterator[tuple[tuple[Learned, ...], tuple[Pin, ...]]]:
    """What failed imports taught with each version that the models may want; then the same without what was taught."""
    for learned in dict.fromkeys((work.declared.learned_bounds, ())):
        yield from ((learned, chosen) for chosen in model_strategies(work, of_models))


def _first(work: Work, now: datetime, failures: list[Failure]) -> Found | None:
    """The first way that comes to something; `failures` gets those before it."""
    for strategy in _strategies(work, now, failures):
        refusals: list[Refusal] = []
        for candidate in _ordered(work, strategy):
            refuse_neighbour(work, candidate, refusals)
            try:
                lock = _attempt(work, strategy, candidate)
            except UnsolvableError as error:
                if isinstance(error, UnknownPackageError) and _asks_for(work, error.name):
                    raise  # another Python or day would not know it either
                refusals.append(Refusal(RefusedPython(candidate.suite.python, error.short), error))
                continue
            return told(work, Found(candidate, lock), strategy, failures, refusals)
        failures.append(Failure(strategy, tuple(refusals)))
        work.emit(Notice(f"no set of packages fits in {strategy.words}: {because_of(failures[-1])}"))
    return None


def _asks_for(work: Work, name: str) -> bool:
    """Whether the project itself names that package."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name) in {one.name for one in work.declared.requirements}


def _strategies(work: Work, now: datetime, failures: Sequence[Failure]) -> Iterator[Strategy]:
    """The ways in their order; sources only where wheels are lacking, pins against others' demands at the very end."""
    datings = _datings(work, now)
    built: list[Dating] = []
    for dating in datings:
        if dating.as_of is None and dating is not datings[0] and work.survey.has_dated_pins:
            yield Strategy(dating, in_their_time=True)
        yield Strategy(dating)
        if dating.as_of is not None and lacking_in(failures[-1:]):
            built.append(dating)  # what was current then goes together: a source of then beats today's index
            yield Strategy(dating, from_source=True)
    errors = [refusal.error for one in failures for refusal in one.refusals]
    lacking = lacking_in(failures)
    if lacking:
        yield from (Strategy(dating, from_source=True) for dating in _of_old_sources(work, now, lacking))
        yield from (Strategy(dating, from_source=True) for dating in datings if dating not in built)
    if work.survey.pins and not work.declared.as_it_stands and any(error.is_conflict for error in errors):
        yield Strategy(datings[0], pins_win=True)
        if lacking:
            yield Strategy(datings[0], from_source=True, pins_win=True)


def _of_old_sources(work: Work, now: datetime, lacking: Sequence[str]) -> Iterator[Dating]:
    """Where nothing is pinned: as of the day of a package that was given up before there were wheels of it.

    One that needs no other package (docopt) works with those of any day.
    """
    if work.survey.newest_upload is not None:
        return
    question = Question(work.declared, work.candidates[0].suite, work.platform)
    with tempfile.TemporaryDirectory(prefix="shipml-") as scratch:
        sources = Sources(Path(scratch), uv=work.uv, store=work.store, http=work.http)
        dependent = [name for name in dict.fromkeys(lacking) if not sources.needs_nothing(name, question)]
    found = (newest_source(work.uv, name, work.declared.options) for name in dependent)
    old = [(one.uploaded_at, one) for one in found if one and one.uploaded_at and now - one.uploaded_at > OLD_PINS]
    if old:
        uploaded_at, release = max(old, key=lambda one: one[0])
        because = f"{release.name} {release.version} is the newest, has no wheel and was uploaded on"
        yield Dating(cutoff(uploaded_at), f"{because} {uploaded_at:%Y-%m-%d}")


def _ordered(work: Work, strategy: Strategy) -> Sequence[PythonCandidate]:
    """The Pythons; where sources count, a few: those with the fewest pins to build, Debian's own, old ones first.

    What has no wheel for any Python is old, and builds on the Pythons that it knew.
    """
    if not strategy.from_source:
        return work.candidates
    by_need = sorted(work.candidates, key=lambda one: _order_from_source(work, one))
    return [one for one in by_need if not work.obstacle(one.suite)][:_PYTHONS_FROM_SOURCE]


def _order_from_source(work: Work, candidate: PythonCandidate) -> tuple[int, bool, bool, int]:
    lacking = _without_wheel(work.survey, candidate.suite, work.platform)
    is_foreign = not (isinstance(candidate.suite, Suite) and candidate.suite.stable)
    return len(lacking), bool(candidate.instead_of), is_foreign, int(candidate.suite.python.partition(".")[2])


def _datings(work: Work, now: datetime) -> tuple[Dating, ...]:
    fixed = bool(os.environ.get("UV_EXCLUDE_NEWER")) or any(
        "exclude-newer" in text for name, text in work.declared.inputs if "uv" in name
    )
    revision = work.project.revision
    committed_at = None if revision is None else datetime.fromtimestamp(revision.committed_at_seconds, UTC)
    past_first = work.declared.is_of_its_commit
    return datings(work.survey, now=now, committed_at=committed_at, fixed=fixed, past_first=past_first)


def _attempt(work: Work, strategy: Strategy, candidate: PythonCandidate) -> Lock:
    """One Python as of one date.

    Raises:
        UnsolvableError: nothing fits it.
        ShipmlError: it is of no use to go on.
    """
    base = candidate.suite
    lacking = _without_wheel(work.survey, base, work.platform)
    open_ones = {str(pin) for pin in work.survey.pins if not pin.declared}
    if lacking and not (strategy.from_source and open_ones.isdisjoint(lacking)):
        raise UnsolvableError.no_wheel(lacking, base, work.platform)
    if because := work.obstacle(base):
        raise ObstacleError(because, short=because, hint=_OBSTACLE_HINT)
    question = Question(
        work.declared,
        base,
        work.platform,
        as_of=strategy.dating.as_of,
        exempt=tuple(pin.name for pin in work.survey.pins),
        constraints=work.constraints,
        overrides=(*work.overrides, *(_held_pins(work) if strategy.pins_win else ())),
    )
    with tempfile.TemporaryDirectory(prefix="shipml-") as scratch:
        sources = Sources(Path(scratch), uv=work.uv, store=work.store, http=work.http) if strategy.from_source else None
        question, changes = without_old_wheels(work, question, lacking, sources)
        question = with_later_ones(work.uv, question)
        if strategy.in_their_time:
            question = in_their_time(work.uv, question, work.survey)
        for _ in range(_MOST_ROUNDS):
            try:
                lock = _locked(work, question, sources)
            except UnsolvableError as error:
                other = overridden(work, question, error.missing) or helped(work, question, error.lacking, sources)
                if other is None:
                    raise
                question, changes = other[0], (*changes, *other[1])
                continue
            return with_moves(lock, question, strategy, changes)
        return with_moves(_locked(work, question, sources), question, strategy, changes)


def _held_pins(work: Work) -> Iterator[str]:
    """The project's pins, but for those that are overridden already."""
    replaced = {line.partition("==")[0] for line in work.overrides}
    yield from (str(pin) for pin in work.survey.pins if pin.declared and pin.name not in replaced)


def _locked(work: Work, question: Question, sources: Sources | None) -> Lock:
    """What uv answers, as a lock."""
    from shipml.lock import select_wheels

    base = question.base
    try:
        question, document = without_slides(work.uv, *resolved(work.uv, question), work.survey)
        held = hold_back(work.uv, question, document, work.survey)
        fitted = fit(work.uv, question, held.document, work.accelerator, work.pytorch)
    except UvError as error:
        raise explain(error.stderr, base, work.platform, work.declared) from error
    stated = with_stated_files(fitted.document, work.declared)
    wheels = tuple(select_wheels(stated, base, work.platform, work.project.folder))
    built: tuple[LockedSource, ...] = ()
    if sources is not None:
        wheels, built = sources.taken(wheels)
    decisions = (*fitted.decisions, *held.decisions)
    if built:
        names = ", ".join(f"{one.name}=={one.version}" for one in built)
        decisions = (
            *decisions,
            Decision("from source", names, f"there is no wheel for Python {base.python}", "source"),
        )
    return Lock(
        wheels,
        base.name,
        base.python,
        work.platform,
        work.inputs,
        sources=built,
        decisions=decisions,
        changes=fitted.changes,
    )


def _without_wheel(survey: Survey, base: PythonBase, platform: Platform) -> tuple[str, ...]:
    """The pins that have no wheel for a Python, as they are written."""
    from shipml.lock.choosing import fits

    fitting = fits(base, platform)
    return tuple(
        str(pin)
        for pin in survey.pins
        if (release := survey.releases.get(pin.name)) is not None and not any(map(fitting, release.wheels))
    )
