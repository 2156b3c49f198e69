"""Packages for which another day counts than for the rest: what only old pins need, and what shipml adds itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from shipml.facts.releases import Pin, Survey, cutoff
from shipml.facts.requirements import DeclaredRequirement
from shipml.resolver.errors import explain
from shipml.resolver.prereleases import resolved
from shipml.resolver.release_lookup import survey_floors
from shipml.resolver.uv import Question, Uv, UvError

__all__ = ["in_their_time", "with_later_ones"]


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


def with_later_ones(uv: Uv, question: Question) -> Question:
    """The question with a later day for what shipml adds to run the program, where that did not exist yet.

    What runs notebooks as jobs is younger than many notebooks: it is taken as it first was, with what it needs.
    """
    declared, as_of = question.declared, question.as_of
    if as_of is None or not declared.for_running:
        return question
    asked = {name: Pin(name, "", declared.path) for name in declared.for_running}
    first = survey_floors(uv, asked, declared.options)
    late = {name: one.uploaded_at for name, one in first.items() if one.uploaded_at and one.uploaded_at > as_of}
    if not late:
        return question
    day = cutoff(max(late.values()))
    lines = tuple(DeclaredRequirement(name, declared.path, name) for name in late)
    alone = replace(question, declared=replace(declared, requirements=lines, learned=()), as_of=day)
    try:
        names = {str(package["name"]) for package in uv.resolve(alone).get("packages", ())}
    except UvError:
        names = set(late)
    return replace(question, own_days=(*question.own_days, *((name, day) for name in sorted(names))))


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
