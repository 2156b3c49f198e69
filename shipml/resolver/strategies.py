"""One strategy of resolving, and what became of those that came to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shipml.errors import TryAgainError
from shipml.facts.project import Lock
from shipml.plan.python_version import PythonCandidate
from shipml.resolver.context import Work
from shipml.resolver.dating import Dating
from shipml.resolver.errors import ObstacleError, Refusal

__all__ = ["Failure", "Found", "Strategy", "because_of", "lacking_in", "refuse_neighbour"]


@dataclass(frozen=True, slots=True)
class Strategy:
    """How all Pythons are tried once."""

    dating: Dating
    from_source: bool = False
    """Whether sources count too."""
    pins_win: bool = False
    """Whether the project's pins hold against what packages ask of each other: as pip took them before 20.3."""

    in_their_time: bool = False
    """Whether what only pinned packages need is taken as of the pins' day, whatever the day of the rest."""

    @property
    def words(self) -> str:
        """For a list of attempts."""
        if self.in_their_time:
            return f"{self.dating.words} with what only pinned packages need as of the pins' day"
        sources = ", sources included" if self.from_source else ""
        return self.dating.words + sources + (", pins taken as they stand" if self.pins_win else "")


@dataclass(frozen=True, slots=True)
class Failure:
    """A way that came to nothing."""

    strategy: Strategy
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the attempts came to."""

    candidate: PythonCandidate
    lock: Lock


def lacking_in(failures: Iterable[Failure]) -> list[str]:
    """The requirements for which wheels were lacking."""
    return [name for one in failures for refusal in one.refusals for name in refusal.error.lacking]


def refuse_neighbour(work: Work, candidate: PythonCandidate, refusals: Sequence[Refusal]) -> None:
    """A Python beside what the project demands is not taken because the network does not give the one it demands.

    Raises:
        TryAgainError: that is what happened.
    """
    if not candidate.instead_of or (refusals and not any(isinstance(one.error, ObstacleError) for one in refusals)):
        return
    demanded = [one.suite for one in work.candidates if not one.instead_of]
    because = next((because for base in demanded if (because := work.obstacle(base))), "")
    if because:
        raise TryAgainError(
            f"{candidate.source} asks for Python {candidate.instead_of.removeprefix('python-')}, and {because}",
            hint="run it again later, name a mirror of Docker Hub (export SHIPML_HUB_MIRROR=HOST),"
            f" or take another Python: --python {candidate.suite.python}",
        )


def because_of(failure: Failure) -> str:
    """Why an attempt came to nothing, each reason once."""
    reasons: dict[str, list[str]] = {}
    for refusal in failure.refusals:
        reasons.setdefault(refusal.python.because, []).append(refusal.python.python)
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{', '.join(pythons)}: {reason}" for reason, pythons in reasons.items())
