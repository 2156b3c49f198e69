"""Which of a project's files say what it depends on: each kind has its reader, and the order among them its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from shipml.errors import ConfigurationError
from shipml.facts.dockerfile import FollowedDockerfile
from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import IgnoredFile
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
    if dockerfile is not None and (installed := read_dockerfile(folder, dockerfile)) is not None:
        return Taken(installed, None, (), installed.texts)
    all_found = [(reader, path) for reader in READERS for path in _find(reader, folder)]
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
