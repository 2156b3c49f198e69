"""Today's index under old pins: what only pinned packages need is taken as of the pins' day all the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from shipml.facts.releases import Survey, cutoff
from shipml.resolver.errors import explain
from shipml.resolver.prereleases import resolved
from shipml.resolver.uv import Question, Uv, UvError

__all__ = ["in_their_time"]


def in_their_time(uv: Uv, question: Question, survey: Survey) -> Question:
    """The question with a day for each package that is in the answer for the sake of pinned ones alone.

    What is asked for without a version, and all that it needs, stays as it is today.

    Raises:
        ShipmlError: there is no answer; as `explain`.
    """
    newest = survey.newest_upload
    if newest is None:
        return question
    try:
        question, _ = resolved(uv, question)
        parents = uv.parents(question)
    except UvError as error:
        raise explain(error.stderr, question.base, question.platform, question.declared) from error
    asked = {one.name for one in question.declared.requirements}
    of_pins = _needed_by(parents, {pin.name for pin in survey.pins}, asked)
    return replace(question, own_days=tuple((name, cutoff(newest[1])) for name in sorted(of_pins)))


def _needed_by(parents: Mapping[str, Sequence[str]], pinned: Collection[str], asked: Collection[str]) -> set[str]:
    """The packages, themselves not asked for, of which all that need them are pinned or of this kind."""
    found: set[str] = set()
    while True:
        known = {*pinned, *found}
        more = {
            name
            for name, those in parents.items()
            if name not in known and name not in asked and those and known.issuperset(those)
        }
        if not more:
            return found
        found |= more
