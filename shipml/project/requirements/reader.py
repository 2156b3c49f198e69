"""What every reader of dependency files gives, and the protocol that it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import Correction, IgnoredFile, StatedHashes

__all__ = ["Folder", "Found", "Line", "Reader"]


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement as it is written, before it is understood."""

    text: str = field(repr=False)
    """Comments gone, continued lines joined; may hold credentials."""
    source: str
    """`FILE:LINE`."""

    @property
    def file(self) -> str:
        """The file that it stands in, relative to the project."""
        return self.source.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Folder:
    """The project folder, with what several readers need."""

    path: Path
    names: tuple[str, ...]
    """Of the files and folders in it, sorted; folders end in `/`."""
    pyproject: Mapping[str, Any] = field(default_factory=dict)
    """The document of pyproject.toml; empty where there is none."""
    pyproject_text: str = ""
    extras: tuple[str, ...] = ()
    """Of pyproject.toml, that are wanted besides: normalised."""
    groups: tuple[str, ...] = ()
    """The same of its dependency groups."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a reader found in the project, as it is written."""

    path: str
    """The file, relative to the project."""
    because: str
    """Why it is taken: a clause without full stop."""
    requirements: tuple[Line, ...] = ()
    constraints: tuple[Line, ...] = ()
    options: tuple[Line, ...] = ()
    """Lines for uv about indexes."""
    offers: tuple[Line, ...] = ()
    """What is only asked for under conditions (groups, extras, files for development): the version to take where the
    code turns out to need it."""
    changes: tuple[Correction, ...] = ()
    left_aside: tuple[IgnoredFile, ...] = ()
    locked_by: str = ""
    texts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(path, text) of the files that were read."""
    inputs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    as_it_stands: bool = False
    """Whether uv must read the file itself."""
    python: tuple[PythonEvidence, ...] = ()
    hashes: tuple[StatedHashes, ...] = ()
    """Of a lock that is taken for the file itself."""
    uv_choices: tuple[str, ...] = ()
    """Options that name extras and groups, for uv where it reads the file itself."""
    own_folders: tuple[str, ...] = ()
    """Folders, relative to the project, in which the project's own packages lie."""


class Reader(Protocol):
    """Reads one kind of dependency file."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """The files of this kind that say something about dependencies, the one to take first."""

    def read(self, folder: Folder, path: str) -> Found:
        """What the file `path` asks for.

        Raises:
            ConfigurationError: it cannot be read, or holds what cannot be meant.
        """
