"""The decisions of a plan in words, in the order in which one reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from shipml.facts.data import DataOutcome
from shipml.facts.dockerfile import UnsupportedInstruction
from shipml.facts.plan import (
    USER_ID,
    Base,
    Decision,
    ImageBasePin,
)
from shipml.facts.project import Lock, Project
from shipml.facts.pythons import HUB_PYTHONS, Suite
from shipml.facts.requirements import Requirements
from shipml.plan.accelerator import gpu_hint
from shipml.plan.command import Command
from shipml.plan.python_version import PythonCandidate

__all__ = ["Timing", "decisions"]

_SHOWN = 5
"""Names shown of a longer list."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The image's time."""

    created_at: str
    """RFC 3339."""
    because: str


def decisions(
    project: Project,
    *,
    lock: Lock,
    base: Base,
    candidate: PythonCandidate,
    command: Command,
    layers: str,
    timing: Timing,
    data: DataOutcome = DataOutcome(),
) -> tuple[Decision, ...]:
    """All decisions, each with its reason."""
    return (
        Decision("python", candidate.suite.python, _python_reason(lock, candidate)),
        Decision("base", base.reference, _base_reason(base, candidate)),
        *_dockerfile(project),
        *_dependencies(project, lock),
        *_system_packages(base),
        *_files(project),
        *_data(data),
        *(
            Decision("secret", one.source, f"{one.kind}: push refuses it; its hash is {one.fingerprint}")
            for one in project.secrets
        ),
        Decision("layers", layers, "parts that seldom change come first, so that they are reused"),
        Decision("command", _shown_command(command), command.because),
        *_other_programs(command),
        *_distributions(project),
        _user(project),
        Decision("created", timing.created_at, timing.because),
    )


def _python_reason(lock: Lock, candidate: PythonCandidate) -> str:
    if not candidate.open:
        return candidate.because or "it is the only one"
    reason = "no Debian release fits, and it is the newest"
    if isinstance(candidate.suite, Suite):
        reason = "it is the newest of Debian's releases" if candidate.suite.stable else "no released Debian fits"
    if lock.wheels:
        reason += " for which every package has a wheel"
    if built := next((one.value for one in lock.decisions if one.kind == "source"), ""):
        reason = f"{built} must be built, for which Debian's oldest Python comes first"
    if lock.source:
        reason = f"{lock.source} is for it"
    refused = [f"{one.python}: {one.because}" for one in lock.refused]
    allowed = [candidate.because] if candidate.because else []
    return "; ".join([reason, *refused, *allowed])


def _base_reason(base: Base, candidate: PythonCandidate) -> str:
    if not isinstance(base, ImageBasePin):
        return f"its Python is {base.python}"
    named = candidate.suite not in HUB_PYTHONS
    why = "it was asked for" if named else f"no Debian release has Python {candidate.suite.python}"
    return f"{why}; its Python is {base.python}, and it is pinned to {base.digest}"


def _dockerfile(project: Project) -> Iterator[Decision]:
    if project.followed is not None:
        skipped = project.followed.skipped
        because = "what is left out of it is not needed" if skipped else "each of its instructions is understood"
        yield Decision("Dockerfile", "followed", because)
        yield from (
            Decision("not carried out", f"{one.file}:{one.line} ({one.instruction})", one.because) for one in skipped
        )
    elif isinstance(project.dockerfile, UnsupportedInstruction):
        yield Decision("Dockerfile", "needs an engine", project.dockerfile.sentence)
    elif project.dockerfile is not None:
        yield Decision("Dockerfile", "ignored", "--no-dockerfile was given")


def _dependencies(project: Project, lock: Lock) -> Iterator[Decision]:
    source = project.requirements
    if source is None:
        yield Decision("dependencies", "none", "no file names any, and the code imports none")
        return
    known = [wheel.size_bytes for wheel in lock.wheels if wheel.size_bytes is not None]
    count = len(lock.wheels)
    value = f"{count} package{'s' * (count != 1)}, {_size(sum(known))}{'' if len(known) == count else ' or more'}"
    where = f"{lock.source} pins them" if lock.source else f"uv resolved {_asked(source)} for {lock.platform}"
    yield Decision("dependencies", value, where)
    if source.because:
        yield Decision("requirements", source.path or "the imports of the code", source.because)
    if source.locked_by:
        yield Decision("versions", source.locked_by, f"it pins what {source.path} asks for")
    for aside in source.left_aside:
        yield Decision("ignored", aside.path, aside.because)
    for change in source.changes:
        yield Decision("changed", change.value, f"{change.because} ({change.source})", "change")
    for change in lock.changes:
        yield Decision("changed", change.value, f"{change.because} ({change.source})", "change")
    yield from lock.decisions
    accelerator = next((one.value for one in lock.decisions if one.kind == "accelerator"), "cpu")
    if hint := gpu_hint(project, accelerator):
        yield hint


def _asked(source: Requirements) -> str:
    return source.path or "what the code imports"


def _files(project: Project) -> Iterator[Decision]:
    files = [file for file in project.files if file.kind != "directory"]
    size_bytes = sum(file.size_bytes for file in files)
    yield Decision(
        "files",
        f"{len(files)} file{'s' * (len(files) != 1)}, {_size(size_bytes)}",
        ".dockerignore and the default excludes allow them",
    )
    for one in project.lfs_pointers:
        reader = f"; {one.reader} names it" if one.reader else ""
        because = f"it is a git-lfs pointer, {_size(one.size_bytes)} are missing: git lfs pull{reader}"
        yield Decision("missing", _shown_path(one.path), because)
    for absent in project.missing_files:
        because = f"{absent.reader} reads it, and {absent.because}"
        yield Decision("missing", _shown_path(absent.path), because, "warning")
    by_reason: dict[str, list[str]] = {}
    for path, reason in project.left_out:
        by_reason.setdefault(reason, []).append(_shown_path(path))
    for reason, paths in sorted(by_reason.items()):
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        yield Decision("left out", ", ".join(paths[:_SHOWN]) + more, f"{_clause(reason)}; the setting include keeps it")


def _data(data: DataOutcome) -> Iterator[Decision]:
    """What the code reads and no package brings."""
    for pin in data.pins:
        yield Decision("data", f"{pin.name}, {_size(pin.size_bytes)}", pin.because)
    for use, size_bytes in data.planned:
        size = f", {_size(size_bytes)}" if size_bytes else ""
        yield Decision("data", f"{use.title}{size}", f"{use.source} reads it: `shipml build` fetches it")
    for use, because, command in data.missing:
        what = f"{use.source} reads it, and it is not in the image: {because}; to add it: {command}"
        yield Decision("missing data", use.title, what, "warning" if use.at_start else "")


def _shown_path(path: str) -> str:
    """On one line, whatever the name holds."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _clause(reason: str) -> str:
    return f"it {reason}" if reason.startswith("may ") else f"it is {reason}"


def _system_packages(base: Base) -> Iterator[Decision]:
    """Those that something asks for, one by one; what these need, as a number."""
    asked = [one for one in base.extra_packages if one.root]
    yield from (Decision("system package", f"{one.name} {one.version}", one.because) for one in asked)
    if others := len(base.extra_packages) - len(asked):
        yield Decision("system packages", f"{others} more", "the ones above need them")


def _distributions(project: Project) -> Iterator[Decision]:
    """The projects that are installed in place."""
    is_installed = project.followed is None or project.followed.installs_itself
    for one in project.distributions if is_installed else ():
        yield Decision("installed", f"{one.name} {one.version}", f"{one.source} describes it")
        if one.lacks:
            yield Decision("not compiled", one.name, f"{one.lacks}, and its files are taken as they are", "warning")


def _other_programs(command: Command) -> Iterator[Decision]:
    if command.others:
        more = f" and {len(command.others) - _SHOWN} more" if len(command.others) > _SHOWN else ""
        shown = ", ".join(_shown_path(path) for path in command.others[:_SHOWN])
        yield Decision("other programs", shown + more, "the setting command runs another")


def _user(project: Project) -> Decision:
    if project.settings.user:
        return Decision("user", project.settings.user, project.user_reason or f"{project.settings.source} says so")
    return Decision("user", str(USER_ID), "the program does not need to be root")


def _shown_command(command: Command) -> str:
    import shlex

    return shlex.join(command.arguments)


def _size(size_bytes: int) -> str:
    """In decimal units, as docker prints sizes."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"
