"""Which of a project's files say what it depends on: each kind has its reader, and the order among them its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from shipml.errors import ConfigurationError
from shipml.facts.dockerfile import FollowedDockerfile
from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import IgnoredFile
from shipml.folders import is_file
from shipml.project.requirements.conda import CondaEnvironment
from shipml.project.requirements.dockerfile import DockerfileInstalls, read_dockerfile
from shipml.project.requirements.locks import (
    LockAlone,
    LockedVersions,
    find_lock,
    read_lock,
)
from shipml.project.requirements.poetry import Pipfile
from shipml.project.requirements.pyproject import Pyproject
from shipml.project.requirements.reader import (
    Folder,
    Found,
    Line,
    Reader,
)
from shipml.project.requirements.requirements_txt import OtherRequirements, RequirementsTxt
from shipml.project.requirements.setup_files import SetupCfg, SetupPy

__all__ = ["READERS", "Taken", "take"]

READERS: tuple[Reader, ...] = (
    RequirementsTxt(),
    Pyproject(),
    Pipfile(),
    CondaEnvironment(),
    OtherRequirements(),
    SetupCfg(),
    SetupPy(),
    LockAlone(),
    DockerfileInstalls(),
)
"""In the order of preference: what installs a program before what describes a library, what pip takes before what only
one tool takes."""

_DEVELOPMENT = re.compile(r"(?:^|[^a-z])(?:dev|tests?|docs?|lint|ci)(?:[^a-z]|$)")
_PIN = re.compile(r"[^=]+===?[^=*]+")


@dataclass(frozen=True, slots=True)
class Taken:
    """The file that counts, with what the others add."""

    found: Found
    lock: LockedVersions | None
    python: tuple[PythonEvidence, ...]
    """Of all files."""
    texts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(path, text) of all files that were read."""


def take(folder: Folder, dockerfile: FollowedDockerfile | None = None) -> Taken | None:
    """The file that says what the project depends on; None where none does. A `dockerfile` that is followed says it.

    A file that names nothing gives way to one that does, and an unpinned requirements.txt to a lock.

    Raises:
        ConfigurationError: the file that counts cannot be read.
    """
    installed = read_dockerfile(folder, dockerfile) if dockerfile is not None else None
    all_found = [(reader, path) for reader in READERS for path in _find(reader, folder)]
    if dockerfile is not None and (of_tools := _of_tools(folder, dockerfile)):
        return _with(_take(folder, of_tools), installed)
    if installed is not None:
        return Taken(installed, None, (), installed.texts)
    return _take(folder, all_found)


def _of_tools(folder: Folder, dockerfile: FollowedDockerfile) -> list[tuple[Reader, str]]:
    """What poetry, uv, pipenv or conda install from, as the Dockerfile says; a setup.py for `pip install .`."""
    found: list[tuple[Reader, str]] = []
    for path in dockerfile.project_files:
        if path.endswith((".yml", ".yaml")):
            found += [(CondaEnvironment(), path)] if is_file(folder.path / path) else []
        elif path == "Pipfile":
            found += [(Pipfile(), name) for name in _find(Pipfile(), folder)]
        else:
            readers: tuple[Reader, ...] = (Pyproject(), SetupCfg(), SetupPy())
            found += [(reader, name) for reader in readers for name in _find(reader, folder)][:1]
    return found


def _with(taken: Taken | None, installed: Found | None) -> Taken | None:
    """What a tool installs, and what pip does besides."""
    if taken is None or installed is None:
        return taken or (Taken(installed, None, (), installed.texts) if installed is not None else None)
    found = replace(
        taken.found,
        requirements=(*taken.found.requirements, *installed.requirements),
        constraints=(*taken.found.constraints, *installed.constraints),
        options=(*taken.found.options, *installed.options),
        changes=(*taken.found.changes, *installed.changes),
        texts=(*taken.found.texts, *installed.texts),
    )
    return replace(taken, found=found, texts=(*taken.texts, *installed.texts))


def _take(folder: Folder, all_found: list[tuple[Reader, str]]) -> Taken | None:
    """The file that counts among those that there are; where extras or groups are wanted, pyproject.toml has them."""
    if folder.extras or folder.groups:
        all_found = sorted(all_found, key=lambda one: one[1] != "pyproject.toml")
    if not all_found:
        return None
    chosen, number = _widest(folder, all_found, *_first(folder, all_found))
    others = [one for at, one in enumerate(all_found) if at != number]
    read = [(path, _try(reader, folder, path)) for reader, path in others]
    lock_name = find_lock(folder, chosen.path)
    lock = read_lock(folder, lock_name) if lock_name else None
    offers = (*chosen.offers, *(line for _, found in read if found for line in (*found.requirements, *found.offers)))
    included = {path for path, _ in chosen.texts}
    left_aside = (
        *chosen.left_aside,
        *(_aside(path, found, chosen) for path, found in read if path not in {*included, lock_name}),
    )
    python = (
        *chosen.python,
        *(lock.python if lock else ()),
        *(one for _, found in read if found for one in found.python),
    )
    texts = (*chosen.texts, *(text for _, found in read if found for text in found.texts))
    return Taken(replace(chosen, offers=offers, left_aside=left_aside), lock, python, texts)


def _find(reader: Reader, folder: Folder) -> tuple[str, ...]:
    """A file that cannot be read says nothing, unless it is the one that counts by its name."""
    try:
        return reader.find(folder)
    except ConfigurationError:
        return ()


def _first(folder: Folder, candidates: list[tuple[Reader, str]]) -> tuple[Found, int]:
    empty: tuple[Found, int] | None = None
    for number, (reader, path) in enumerate(candidates):
        found = reader.read(folder, path)
        if not found.requirements and not found.as_it_stands:
            empty = empty or (found, number)
            continue
        if path == "requirements.txt" and not _is_pinned(found.requirements):
            later = candidates[number + 1 :]
            locked = next(((one, name) for one, name in later if find_lock(folder, name)), None)
            if locked is not None:
                lock = find_lock(folder, locked[1])
                because = f"{lock} pins what it asks for, and requirements.txt does not"
                return replace(locked[0].read(folder, locked[1]), because=because), candidates.index(locked)
        return found, number
    if empty is None:
        raise ConfigurationError("no dependency file can be read", hint="write a requirements.txt")
    return empty


def _widest(folder: Folder, candidates: list[tuple[Reader, str]], chosen: Found, number: int) -> tuple[Found, int]:
    """An environment of conda that includes the chosen file asks for all of it, and for more."""
    for at, (reader, path) in enumerate(candidates):
        found = _try(reader, folder, path) if isinstance(reader, CondaEnvironment) else None
        if found is not None and path != chosen.path and chosen.path in dict(found.texts):
            return replace(found, because=f"it includes {chosen.path}"), at
    return chosen, number


def _is_pinned(lines: Iterable[Line]) -> bool:
    return all(
        _PIN.fullmatch(line.text.partition(";")[0].partition(" --")[0].strip()) or "@" in line.text for line in lines
    )


def _try(reader: Reader, folder: Folder, path: str) -> Found | None:
    """A file that is ignored may be broken."""
    try:
        return reader.read(folder, path)
    except ConfigurationError:
        return None


def _aside(path: str, found: Found | None, chosen: Found) -> IgnoredFile:
    if found is None:
        return IgnoredFile(path, "it cannot be read")
    if not found.requirements and not found.as_it_stands:
        return IgnoredFile(path, "it asks for nothing")
    if _DEVELOPMENT.search(path.lower()) and path.endswith(".txt"):
        return IgnoredFile(path, "it is for development")
    return IgnoredFile(path, f"{chosen.path} comes first: {chosen.because}")
