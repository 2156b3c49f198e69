"""Other files, or another version, for packages whose own version has no wheel for a Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shipml.facts.releases import Pin, cutoff
from shipml.facts.requirements import Correction
from shipml.lock.choosing import fits
from shipml.resolver.compatibility import is_near
from shipml.resolver.context import Work
from shipml.resolver.integrity import has_stated_hash
from shipml.resolver.pins import can_stand_for, nearest_newer, normalised, why_instead
from shipml.resolver.release_lookup import filename, is_released, nearest_versions, uploaded_at
from shipml.resolver.sources import Sources
from shipml.resolver.uv import (
    Question,
    Uv,
    UvError,
    dated_arguments,
    python_arguments,
)

__all__ = [
    "helped",
    "late_wheel",
    "moved",
    "name_of",
    "overridden",
    "version_then",
    "with_versions",
    "without_old_wheels",
]

_OLDER_PYTHONS = ("3.7", "3.5")


def name_of(requirement: str) -> str:
    """The name in a requirement as uv writes it: `markupsafe>=0.23`."""
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]


def late_wheel(uv: Uv, requirement: str, question: Question) -> str:
    """The version of then, where it has got a wheel for this Python since: for a new Python they come months later.

    Returns:
        The version; "" where it has no wheel to this day.
    """
    if question.day_of(name_of(requirement)) is None:
        return ""
    version = version_then(uv, requirement, question)
    if not version:
        return ""
    files = _package(uv, f"{name_of(requirement)}=={version}", question, *_target(question))
    fitting = fits(question.base, question.platform)
    return version if any(fitting(filename(file)) for file in files.get("wheels", ())) else ""


def version_then(uv: Uv, requirement: str, question: Question) -> str:
    """The version that fits a requirement as of the question's date, with wheels or without; "" for none."""
    package = _package(uv, requirement, question, *_target(question), *dated_arguments(question))
    return str(package.get("version", ""))


def moved(uv: Uv, pin: Pin, question: Question) -> tuple[Pin, datetime | None] | None:
    """The next release that has a wheel for this Python, of a package that has wheels of this version for older ones.

    What is compiled and was made for older Pythons seldom builds on newer ones. None for packages that come as source
    alone: these are built.

    Returns:
        The release, and when it was uploaded.
    """
    if not any("linux" in name for name in _wheels_for_older_pythons(uv, pin, question)):
        return None
    newer = nearest_newer(uv, pin, question.declared.options, question.base)
    if newer is None or newer.version == pin.version or not is_near(newer.version, pin.version):
        return None
    files = _package(uv, str(newer), question, *_target(question)).get("wheels", ())
    times = [time for file in files if (time := uploaded_at(file)) is not None]
    return newer, min(times, default=None)


def _wheels_for_older_pythons(uv: Uv, pin: Pin, question: Question) -> Iterator[str]:
    for python in _OLDER_PYTHONS:
        files = _package(uv, str(pin), question, "--universal", "--python-version", python).get("wheels", ())
        yield from (filename(file) for file in files)


def _target(question: Question) -> tuple[str, ...]:
    return python_arguments(question.base, question.platform)


def _package(uv: Uv, requirement: str, question: Question, *arguments: str) -> Mapping[str, Any]:
    try:
        packages = uv.files_of([requirement], question.declared.options, *arguments).get("packages", ())
    except UvError:
        return {}
    return packages[0] if packages else {}


def with_versions(question: Question, versions: Mapping[str, str]) -> Question:
    """The same question with these versions, whenever their files were uploaded."""
    return replace(
        question,
        constraints=(*question.constraints, *(f"{name}=={version}" for name, version in versions.items())),
        exempt=(*question.exempt, *versions),
    )


def without_old_wheels(
    work: Work, question: Question, lacking: Sequence[str], sources: Sources | None
) -> tuple[Question, tuple[Correction, ...]]:
    """The question with pins that have no wheel moved to the next release that has one, or let in as source."""
    if sources is None:
        return question, ()
    changes = []
    for pin in [pin for pin in work.survey.pins if str(pin) in lacking]:
        found = None if has_stated_hash(work.declared, pin.name) else moved(work.uv, pin, question)
        if found is None:
            sources.let_in([str(pin)], question)
            continue
        newer, uploaded_at = found
        others = tuple(line for line in question.overrides if name_of(line) != pin.name)
        as_of = question.as_of
        if as_of is not None and uploaded_at is not None:
            as_of = max(as_of, cutoff(uploaded_at))
        question = replace(question, overrides=(*others, str(newer)), as_of=as_of)
        because = f"{pin} has no wheel for Python {question.base.python}, and this is the next version that has one"
        changes.append(Correction("version", str(pin), str(newer), because, pin.source))
    return replace(question, links=sources.links), tuple(changes)


def helped(
    work: Work, question: Question, lacking: Sequence[str], sources: Sources | None
) -> tuple[Question, tuple[Correction, ...]] | None:
    """The question with other files for what has no wheel: later ones, the next release, or source.

    What a package pins exactly is overridden: a constraint could only add to it, and that is a change.

    Returns:
        None where nothing more can be done.
    """
    versions: dict[str, str] = {}
    overrides: list[tuple[str, Pin]] = []
    let_in = False
    for requirement in lacking:
        name = name_of(requirement)
        if any(name_of(line) == name for line in (*question.constraints, *question.overrides)):
            continue
        if late := late_wheel(work.uv, requirement, question):
            versions[name] = late
        elif sources is not None:
            exact = requirement.partition("==")[2]
            then = Pin(name, exact or version_then(work.uv, requirement, question), "", declared=False)
            found = moved(work.uv, then, question) if then.version else None
            if found is None or not _allowed(work, found[0]):
                let_in |= sources.let_in([requirement], question)
            elif requirement == str(then):
                overrides.append((requirement, found[0]))
            else:
                versions[name] = found[0].version
    if not versions and not let_in and not overrides:
        return None
    question = with_versions(question, versions)
    names = (pin.name for _, pin in overrides)
    because = f"a package asks for it, it has no wheel for Python {question.base.python}, and this is the next that has"
    return replace(
        question,
        overrides=(*question.overrides, *(str(pin) for _, pin in overrides)),
        exempt=(*question.exempt, *names),
    ), tuple(Correction("version", one, str(pin), because, work.declared.path) for one, pin in overrides)


def overridden(work: Work, question: Question, missing: str) -> tuple[Question, tuple[Correction, ...]] | None:
    """The question with another release for one that a package pins and the index does not have; None for none.

    A constraint would only add to what the package says: an override takes its place.
    """
    name, _, version = missing.partition("==")
    pin = Pin(normalised(name), version, work.declared.path, declared=False)
    is_asked = any(one.name == pin.name for one in work.declared.requirements)
    if not missing or is_asked or any(name_of(line) == pin.name for line in question.overrides):
        return None
    if pin.name not in question.exempt and is_released(work.uv, pin, question.declared.options):
        return replace(question, exempt=(*question.exempt, pin.name)), ()  # it came out after the day that is asked of
    nearest = next(iter(nearest_versions(work.uv, pin, question.declared.options)), "")
    if not nearest or not can_stand_for(nearest, pin):
        return None
    other = replace(
        question,
        overrides=(*question.overrides, f"{pin.name}=={nearest}"),
        exempt=(*question.exempt, pin.name),
    )
    because = f"a package asks for it; {why_instead(nearest, pin)}"
    return other, (Correction("version", missing, f"{pin.name}=={nearest}", because, work.declared.path),)


def _allowed(work: Work, pin: Pin) -> bool:
    """Whether the project's own line, if it has one, allows that version."""
    from packaging.requirements import InvalidRequirement, Requirement

    line = next((one.line for one in work.declared.requirements if one.name == pin.name), pin.name)
    try:
        return Requirement(line.split(" --")[0].strip()).specifier.contains(pin.version, prereleases=True)
    except InvalidRequirement:
        return True
