"""What is said of a resolution: its date, what was moved, added or held back, and what was tried before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shipml.facts.plan import Decision, LockedSource, LockedWheel
from shipml.facts.project import Lock
from shipml.facts.requirements import Correction
from shipml.plan.python_version import PythonCandidate
from shipml.resolver.context import Work
from shipml.resolver.errors import Refusal
from shipml.resolver.implicit_setuptools import seed_decisions, seed_wheels
from shipml.resolver.strategies import Failure, Found, Strategy, because_of
from shipml.resolver.uv import Question
from shipml.text import listed

__all__ = ["told", "with_moves"]


def with_moves(lock: Lock, question: Question, strategy: Strategy, changes: tuple[Correction, ...]) -> Lock:
    """The lock with the pins that were moved, and the date that moved with them."""
    decisions = lock.decisions
    if question.as_of is not None and question.as_of != strategy.dating.as_of:
        because = "the releases that stand for pins without wheels were uploaded by then"
        decisions = (Decision("index", f"as of {question.as_of:%Y-%m-%d}", because, "index"), *decisions)
    if question.own_days:
        taken = {wheel.name for wheel in lock.wheels}
        names = [name for name, _ in question.own_days if name in taken]
        value = f"{listed(names)} as of {question.own_days[0][1]:%Y-%m-%d}"
        if question.as_of is None:
            what, because = "held back", "only pinned packages need it: it is taken as of the day of the newest pin"
        else:
            what, because = "later", "the program is run with it, and it did not exist before"
        decisions = (*decisions, Decision(what, value, because))
    return replace(lock, changes=(*changes, *lock.changes), decisions=decisions)


def told(
    work: Work, found: Found, strategy: Strategy, failures: Sequence[Failure], refusals: Sequence[Refusal]
) -> Found:
    """The same with all that was decided on the strategy."""
    dating = strategy.dating
    seeds = seed_wheels(work.uv, found.lock, found.candidate.suite, dating.as_of, work.declared.options)
    pinned = {pin.name for pin in work.survey.pins}
    taken: list[LockedWheel | LockedSource] = [*found.lock.wheels, *found.lock.sources, *seeds]
    left_open = any(one.name not in pinned for one in taken)
    decisions = list(work.decisions)
    if dating.as_of is not None and left_open and all(one.kind != "index" for one in found.lock.decisions):
        decisions.append(Decision("index", f"as of {dating.as_of:%Y-%m-%d}", dating.because, "index"))
    decisions += seed_decisions(seeds, found.lock.python)
    decisions += [
        Decision("tried", one.strategy.words, f"no set of packages fits: {because_of(one)}", "tried")
        for one in failures
    ]
    lock = replace(
        found.lock,
        wheels=tuple(sorted((*found.lock.wheels, *seeds))),
        refused=tuple(one.python for one in refusals),
        decisions=(*decisions, *found.lock.decisions),
        changes=(
            *work.changes,
            *found.lock.changes,
            *_other_python(found.candidate, refusals),
            *(_contradiction(work, failures) if strategy.pins_win else ()),
        ),
    )
    return Found(found.candidate, lock)


def _contradiction(work: Work, failures: Sequence[Failure]) -> Iterator[Correction]:
    """That the pins contradict what packages ask of each other, and hold all the same."""
    errors = [refusal.error for one in failures for refusal in one.refusals if refusal.error.is_conflict]
    because = f"{errors[0].short}; the pins are taken as they stand, as pip took them before 20.3"
    yield Correction("contradiction", "what packages ask of each other", "the pins", because, work.declared.path)


def _other_python(candidate: PythonCandidate, refusals: Sequence[Refusal]) -> Iterator[Correction]:
    """That the Python is not the one that the project asks for, and why."""
    if candidate.instead_of:
        because = refusals[0].python.because if refusals else "no base has it"
        yield Correction(
            "version",
            f"Python {candidate.instead_of.removeprefix('python-')}",
            f"Python {candidate.suite.python}",
            because,
            candidate.source,
        )
