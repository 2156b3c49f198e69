"""A project built as its Dockerfile says: what the instructions mean for the facts. Pure."""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shipml.dockerfile.tools import without_runner
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
        files=_executable(placed, dockerfile),
        python_evidence=evidence,
        settings=replace(
            settings,
            base=settings.base or dockerfile.image or None,
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
    """The command as a line; what follows an ENTRYPOINT is one line with it.

    The environments that a Dockerfile makes are the image's only one here: what runs a program in one is left out.
    """
    command = dockerfile.command
    if command is None:
        return ()
    entrypoint = _here(command.entrypoint, dockerfile)
    arguments = _here(command.arguments, dockerfile) if not command.entrypoint else list(command.arguments)
    text = _text_here(command.text, dockerfile) or shlex.join((*entrypoint, *arguments))
    if not text:
        return ()
    words = len(shlex.split(text)) if command.is_entrypoint else len(entrypoint)
    is_exact = not command.text
    return (ProcessLine("web", text, command.line, dockerfile.file, is_exact=is_exact, entrypoint_words=words),)


def _text_here(text: str, dockerfile: FollowedDockerfile) -> str:
    """A command for a shell, changed only where its program is one of an environment."""
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    found = _here(words, dockerfile)
    return text if found == words else shlex.join(found)


def _here(words: Sequence[str], dockerfile: FollowedDockerfile) -> list[str]:
    """`poetry run gunicorn …`, `/opt/venv/bin/gunicorn …` → `gunicorn …`."""
    found = without_runner(words)
    if found and "/bin/" in found[0]:
        home, _, name = found[0].rpartition("/bin/")
        environments = {*dockerfile.environments, f"{dockerfile.working_dir.rstrip('/')}/.venv"}
        if home in environments or home.endswith("/.venv") or home.startswith("/opt/conda"):
            found[0] = name
    return found


def _executable(placed: Placed, dockerfile: FollowedDockerfile) -> tuple[ApplicationFile, ...]:
    """The files, executable where `chmod` makes them so."""
    if not dockerfile.executables:
        return placed.files
    elsewhere: dict[str, list[str]] = {}
    for path, place in placed.places:
        elsewhere.setdefault(path, []).append(place)
    root = dockerfile.working_dir.rstrip("/")
    patterns = [pattern.rstrip("/") for pattern in dockerfile.executables]
    found = []
    for file in placed.files:
        places = elsewhere.get(file.path, [f"{root}/{file.path}"])
        is_meant = any(fnmatch.fnmatchcase(at, one) or at.startswith(f"{one}/") for at in places for one in patterns)
        found.append(replace(file, executable=True) if is_meant and file.kind == "file" else file)
    return tuple(found)


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
