"""A project built as its Dockerfile says: what the instructions mean for the facts. Pure."""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shipml.errors import PlanError
from shipml.facts.dockerfile import Copied, FollowedDockerfile, UnsupportedInstruction
from shipml.facts.plan import ApplicationFile
from shipml.facts.project import (
    ProcessLine,
    Project,
    PythonEvidence,
    SystemPackage,
)

__all__ = ["Placed", "follow_dockerfile", "place_files", "process_of"]


_ROOT = "0"


def follow_dockerfile(project: Project) -> Project:
    """The project's facts as its Dockerfile changes them; the settings still come first.

    Raises:
        PlanError: an instruction is not understood, or copies what is not there.
    """
    dockerfile = project.dockerfile
    if isinstance(dockerfile, UnsupportedInstruction):
        raise PlanError(
            f"only a Docker Engine can build this Dockerfile; the first instruction that shipml does not understand:"
            f" {dockerfile.sentence}",
            hint="build it there: shipml build --builder docker; or without the Dockerfile: --no-dockerfile",
        )
    if dockerfile is None:
        return project
    placed = place_files(project.files, dockerfile)
    settings = project.settings
    evidence = project.python_evidence
    if dockerfile.python and not settings.python:
        evidence = (PythonEvidence(dockerfile.python, f"{dockerfile.file}:FROM", "version"), *evidence)
    return replace(
        project,
        followed=dockerfile,
        places=placed.places,
        files=placed.files,
        python_evidence=evidence,
        settings=replace(
            settings,
            environment=tuple(
                sorted((_variables(dockerfile, with_home=not settings.user) | dict(settings.environment)).items())
            ),
            user=settings.user or dockerfile.user or _ROOT,
        ),
        user_reason="" if settings.user else _user_reason(dockerfile),
        processes=process_of(dockerfile) or project.processes,
        system_packages=(
            *(SystemPackage(name, f"{dockerfile.file}:{line}") for name, line in dockerfile.system_packages),
            *project.system_packages,
        ),
    )


def _variables(dockerfile: FollowedDockerfile, *, with_home: bool) -> dict[str, str]:
    """Those that it sets, and the HOME that Docker would take from the image's passwd."""
    home = {"HOME": dockerfile.home} if dockerfile.home and with_home else {}
    return home | dict(dockerfile.environment)


def _user_reason(dockerfile: FollowedDockerfile) -> str:
    return f"{dockerfile.file} says so" if dockerfile.user else f"{dockerfile.file} does not switch to another user"


def process_of(dockerfile: FollowedDockerfile) -> tuple[ProcessLine, ...]:
    """The command as a line; what follows an ENTRYPOINT is one line with it."""
    command = dockerfile.command
    if command is None:
        return ()
    text = command.text or shlex.join((*command.entrypoint, *command.arguments))
    if not text:
        return ()
    words = len(shlex.split(text)) if command.is_entrypoint else len(command.entrypoint)
    is_exact = not command.text
    return (ProcessLine("web", text, command.line, dockerfile.file, is_exact=is_exact, entrypoint_words=words),)


@dataclass(frozen=True, slots=True)
class Placed:
    """The files that are copied, and where those lie that are not at their own path in the working directory."""

    files: tuple[ApplicationFile, ...]
    """Sorted by path."""
    places: tuple[tuple[str, str], ...]
    """(path, absolute path in the image), sorted; a path comes once for each place."""


def place_files(files: Sequence[ApplicationFile], dockerfile: FollowedDockerfile) -> Placed:
    """Carry out the COPY instructions.

    Raises:
        PlanError: one finds nothing.
    """
    by_path = {file.path: file for file in files}
    placed: dict[str, str] = {}  # place → path: what is copied later lies on top
    for copied in dockerfile.copies:
        folders = {place.rpartition("/")[0] for place in placed} | {dockerfile.working_dir, *dockerfile.folders}
        found = dict(_copy(copied, files, folders))
        if not found and copied.source:
            raise PlanError(
                f"{dockerfile.file}:{copied.line} copies {copied.source}, which is not in the project or is never sent",
                hint="see what is left out: shipml plan; the setting include keeps a file",
            )
        placed.update(found)
    root = dockerfile.working_dir.rstrip("/")
    at: dict[str, list[str]] = {}
    for place, path in placed.items():
        at.setdefault(path, []).append(place)
    return Placed(
        tuple(by_path[path] for path in sorted(at)),
        tuple(sorted((path, place) for path, places in at.items() for place in places if places != [f"{root}/{path}"])),
    )


def _copy(copied: Copied, files: Sequence[ApplicationFile], known: set[str]) -> Iterator[tuple[str, str]]:
    """(absolute path in the image, path) of what one COPY finds."""
    destination = copied.destination.rstrip("/")
    is_folder = copied.destination.endswith("/") or destination in known
    for source in _sources(copied.source, files):
        for file in files:
            if source == "" or file.path.startswith(f"{source}/"):
                below = file.path.removeprefix(f"{source}/") if source else file.path
                yield f"{destination}/{below}", file.path
            elif file.path == source and file.kind != "directory":
                name = source.rpartition("/")[2]
                yield f"{destination}/{name}" if is_folder else destination, file.path


def _sources(pattern: str, files: Sequence[ApplicationFile]) -> list[str]:
    """What a source means: itself, or all paths of its depth that match (Go's filepath.Match)."""
    if not re.search(r"[*?\[]", pattern):
        return [pattern]
    depth = pattern.count("/")
    return [
        file.path
        for file in files
        if file.path.count("/") == depth and all(map(fnmatch.fnmatchcase, file.path.split("/"), pattern.split("/")))
    ]
