"""What is done within one attempt for packages that have no wheel: later files, the next release, or source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shipml.plan.declared import Change
from shipml.plan.releases import Pin, cutoff
from shipml.resolver.settling import late_wheel, moved, name_of, version_then, with_versions
from shipml.resolver.sources import Sources
from shipml.resolver.uv import Question
from shipml.resolver.work import Work

__all__ = ["helped", "without_old_wheels"]


def without_old_wheels(
    work: Work, question: Question, lacking: Sequence[str], sources: Sources | None
) -> tuple[Question, tuple[Change, ...]]:
    """The question with pins that have no wheel moved to the next release that has one, or let in as source."""
    if sources is None:
        return question, ()
    changes = []
    for pin in [pin for pin in work.survey.pins if str(pin) in lacking]:
        found = moved(work.uv, pin, question)
        if found is None:
            sources.let_in([str(pin)], question)
            continue
        newer, uploaded_at = found
        others = tuple(line for line in question.overrides if name_of(line) != pin.name)
        as_of = question.as_of
        if as_of is not None and uploaded_at is not None:
            as_of = max(as_of, cutoff(uploaded_at))
        question = replace(question, overrides=(*others, str(newer)), as_of=as_of)
        because = (
            f"{pin} has wheels for older Pythons only, and this is the next that has one for {question.base.python}"
        )
        changes.append(Change("version", str(pin), str(newer), because, pin.source))
    return replace(question, links=sources.links), tuple(changes)


def helped(work: Work, question: Question, lacking: Sequence[str], sources: Sources | None) -> Question | None:
    """The question with other files for what has no wheel: later ones, the next release, or source.

    Returns:
        None where nothing more can be done.
    """
    versions: dict[str, str] = {}
    let_in = False
    for requirement in lacking:
        name = name_of(requirement)
        if any(name_of(line) == name for line in (*question.constraints, *question.overrides)):
            continue
        if late := late_wheel(work.uv, requirement, question):
            versions[name] = late
        elif sources is not None:
            then = Pin(name, version_then(work.uv, requirement, question), "", declared=False)
            found = moved(work.uv, then, question) if then.version else None
            if found is not None and _allowed(work, found[0]):
                versions[name] = found[0].version
            else:
                let_in |= sources.let_in([requirement], question)
    return with_versions(question, versions) if versions or let_in else None


def _allowed(work: Work, pin: Pin) -> bool:
    """Whether the project's own line, if it has one, allows that version."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - slow to import

    line = next((one.line for one in work.declared.requirements if one.name == pin.name), pin.name)
    try:
        return Requirement(line.split(" --")[0].strip()).specifier.contains(pin.version, prereleases=True)
    except InvalidRequirement:
        return True
