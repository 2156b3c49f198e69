"""What the project asks for, as values: requirements after correction, and each correction with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "Correction",
    "CorrectionKind",
    "DeclaredRequirement",
    "FileHash",
    "IgnoredFile",
    "ImportedModule",
    "Learned",
    "Requirements",
    "StatedHashes",
]

CorrectionKind: TypeAlias = Literal[
    "encoding", "line", "name", "version", "dropped", "duplicate", "contradiction", "added", "lock"
]


@dataclass(frozen=True, slots=True)
class Correction:
    """What was read otherwise than it is written: `--strict` refuses it."""

    kind: CorrectionKind
    before: str
    """As written; "" for what was added."""
    after: str
    """What is taken instead; "" for what was dropped."""
    because: str
    """A clause without full stop."""
    source: str
    """`FILE:LINE`, or `FILE` where it concerns all of it."""

    @property
    def value(self) -> str:
        """`sklearn → scikit-learn`, `pywin32==301 left out`, `pandas added`."""
        if not self.after:
            return f"{self.before} left out"
        return f"{self.before} → {self.after}" if self.before else f"{self.after} added"

    @property
    def sentence(self) -> str:
        """For a notice: where it is, what is done, and why."""
        return f"{self.source}: {self.value}: {self.because}"


@dataclass(frozen=True, slots=True)
class DeclaredRequirement:
    """One requirement (or constraint), ready for uv."""

    line: str = field(repr=False)
    """As a requirements file takes it: a PEP 508 requirement, a path relative to the project folder, or `-e PATH`;
    hashes may follow. May hold credentials."""
    source: str
    """`FILE:LINE`: where it is written."""
    name: str = ""
    """Normalised (PEP 503); "" where only a path or URL is given."""
    version: str = ""
    """The one version that it allows, by `==` or `===`; "" where it allows others."""
    local: str = ""
    """The local version segment that was asked for ("cu111" of torch==1.9.0+cu111), even where `line` has lost it."""


@dataclass(frozen=True, slots=True)
class FileHash:
    """What the project says that a file must be."""

    algorithm: str
    """As hashlib names it."""
    hex: str
    """Lower case."""
    size_bytes: int | None = None
    """None where only the hash is stated."""


@dataclass(frozen=True, slots=True)
class StatedHashes:
    """The files that a package may come from."""

    name: str
    """Normalised (PEP 503)."""
    source: str
    """`FILE:LINE`."""
    hashes: tuple[FileHash, ...]


@dataclass(frozen=True, slots=True)
class IgnoredFile:
    """A file, or a group in one, that names dependencies too and was not taken."""

    path: str
    because: str


@dataclass(frozen=True, slots=True)
class Learned:
    """What a failed import taught about one package."""

    line: str
    """A requirement: `setuptools<81`, `werkzeug<=2.1.2`."""
    because: str
    """A clause without full stop."""
    source: str
    """`FILE:LINE` of the import."""

    @property
    def name(self) -> str:
        """Normalised (PEP 503)."""
        return re.split(r"[<>=!~ ]", self.line, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Requirements:
    """All that the project asks for, and where it says so."""

    path: str
    """The file that was taken, relative to the project; "" where only the imports of the code say anything."""
    requirements: tuple[DeclaredRequirement, ...] = ()
    """In order, each distribution once."""
    because: str = ""
    """Why this file: a clause without full stop."""
    constraints: tuple[DeclaredRequirement, ...] = ()
    """What versions may be, if the package is needed: of `-c` files and of locks."""
    options: tuple[str, ...] = field(default=(), repr=False)
    """Lines for uv: `--extra-index-url URL`, `--find-links URL`, …; may hold credentials."""
    changes: tuple[Correction, ...] = ()
    """In the order of the files."""
    left_aside: tuple[IgnoredFile, ...] = ()
    locked_by: str = ""
    """The lock file that the constraints are from; "" where there is none."""
    as_it_stands: bool = False
    """Whether uv must be handed the file `path` itself: it holds what lines cannot say ([tool.uv.sources], dynamic)."""
    uv_choices: tuple[str, ...] = ()
    """Options that name the extras and groups that are wanted, where uv reads the file itself."""
    texts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(path, text) of the files that were read, in the order in which they were met."""
    inputs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(name, text) of what the resolution depends on besides `text` and `constraints_text`: uv's own settings in the
    project, digests of local wheels, and the parts of pyproject.toml that count where uv reads it itself."""
    pytorch_backends: tuple[tuple[str, str], ...] = ()
    """Parts of PyTorch's own index that options named, and where: ("cu113", "requirements.txt:1"); not in `options`."""
    unknown: tuple[ImportedModule, ...] = ()
    """Imports that nothing declared provides and for which no package is known."""
    source_folders: tuple[str, ...] = ()
    """Folders, relative to the project, in which its own packages lie, other than its top: "src"."""
    stated_hashes: tuple[StatedHashes, ...] = ()
    """Of lock files; those of requirements files stand in their lines (`--hash=…`)."""
    for_running: tuple[str, ...] = ()
    """Names that shipml added to run the program (a server, a kernel): they may be younger than the project."""
    learned: tuple[DeclaredRequirement, ...] = ()
    """What builds on this machine showed to be missing: asked for besides, but nothing that the project says."""
    learned_bounds: tuple[Learned, ...] = ()
    """What they showed to be too new for what needs it."""
    is_of_its_commit: bool = False
    """Whether they showed that packages of today are too new for the code: then those of the last commit's day count
    first."""

    @property
    def text(self) -> str:
        """The requirements as the text of a requirements file; paths are relative to the project folder."""
        return "".join(f"{line}\n" for line in (*self.options, *(one.line for one in self.requirements)))

    @property
    def whole_text(self) -> str:
        """The same with what was learned: what uv is asked. A lock is fresh by what the project says alone."""
        return self.text + "".join(f"{one.line}\n" for one in self.learned)

    @property
    def constraints_text(self) -> str:
        """The constraints as the text of a constraints file."""
        return "".join(f"{one.line}\n" for one in self.constraints)

    @property
    def names(self) -> tuple[str, ...]:
        """What is asked for, one a requirement, in order: for people."""
        return tuple(one.line.split(" --")[0].strip() for one in self.requirements)


@dataclass(frozen=True, slots=True)
class ImportedModule:
    """A module of a third party that the project's code imports, once for each place that tells most."""

    name: str
    """As written, with dots: "sklearn.linear_model"."""
    source: str
    """`FILE:LINE` of the first place; of a notebook `FILE:CELL`."""
    optional: bool = False
    """Whether every import of it stands in a `try` that catches ImportError."""
    top_level: bool = True
    """Whether one of them runs when its file is imported: not only in functions."""
    members: tuple[str, ...] = ()
    """Of `from name import …`: attributes or submodules, sorted."""

    @property
    def root(self) -> str:
        """The top-level module."""
        return self.name.partition(".")[0]
