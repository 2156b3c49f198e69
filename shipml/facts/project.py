"""What a plan is made from, as values: the project as it was found, and the lock that was resolved for it.

`project` and `resolver` fill these in; `plan/` decides on them and reads nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipml.facts.data import DataUse
from shipml.facts.dockerfile import FollowedDockerfile, UnsupportedInstruction
from shipml.facts.plan import (
    ApplicationFile,
    Base,
    Decision,
    LockedLayer,
    LockedSource,
    LockedWheel,
    SmokeCheck,
)
from shipml.facts.programs import Program, RunEvidence
from shipml.facts.requirements import Correction, ImportedModule, Requirements
from shipml.facts.secrets import FoundSecret
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform

__all__ = [
    "Distribution",
    "GpuUse",
    "LfsPointer",
    "Lock",
    "LockFile",
    "MissingFile",
    "ModelFile",
    "ProcessLine",
    "Project",
    "PythonEvidence",
    "RefusedPython",
    "Revision",
    "Settings",
    "SystemPackage",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """`[tool.shipml]` of pyproject.toml, or shipml.toml with the same keys. None and () mean: not said."""

    name: str | None = None
    python: str | None = None
    base: str | None = None
    command: tuple[str, ...] = ()
    """Program and arguments; one string is in `command_line` instead."""
    command_line: str | None = None
    """The command as one string, still to be split."""
    accelerator: str | None = None
    platforms: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    """Of pyproject.toml, that the image gets besides."""
    groups: tuple[str, ...] = ()
    """The same of dependency groups."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""
    user: str | None = None
    smoke: SmokeCheck = SmokeCheck()
    allowed_secrets: tuple[str, ...] = ()
    """`FILE:LINE` or `sha256:…` of what looks like a secret and may be in the image."""
    max_store_bytes: int | None = None
    """What the store of images and downloads may hold after a build."""
    registries: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    environments: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    source: str = ""
    """The file that they were read from, relative to the project; "" where there is none."""
    strict_by: str = ""
    """The file that says `strict = true`: corrections are refused; "" where they are not."""
    allowed_bases: tuple[str, ...] = ()
    """Patterns of the bases that the organisation allows; () for any."""
    allowed_by: str = ""
    """The file that says so."""


@dataclass(frozen=True, slots=True)
class PythonEvidence:
    """A place where the project says which Python it wants."""

    value: str
    """As written: "3.11", "3.11.4", "python-3.11.4", ">=3.10,<3.13"."""
    source: str
    """`FILE:LINE`."""
    kind: str
    """"version"; "range" (PEP 440); or "hint": it once ran there (the kernel of a notebook)."""


@dataclass(frozen=True, slots=True)
class ProcessLine:
    """A line of a Procfile."""

    name: str
    """"web", "worker", …"""
    command: str
    line: int
    file: str = "Procfile"
    """Where it stands."""
    is_exact: bool = False
    """Whether its words are meant as they are: no shell would have read them."""
    entrypoint_words: int = 0
    """How many of its first words are an image's ENTRYPOINT; of what a shell would have read, all are or none."""


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """A Debian package that a file of the project names."""

    name: str
    source: str
    """`FILE:LINE`."""
    written: str = ""
    """The name in the file, where Debian has another today."""
    left_out: str = ""
    """Why it is not taken: a clause; "" where it is."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What git knows about the project."""

    commit: str
    """40 or 64 hex digits."""
    dirty: bool
    """Whether files differ from the commit, or are not in it."""
    committed_at_seconds: int
    """POSIX time."""
    source: str = ""
    """URL of the remote, without credentials; "" where there is none that others can reach."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A trained model among the project's files, and what it says of itself."""

    path: str
    made_with: tuple[tuple[str, str], ...] = ()
    """(distribution, version) of the libraries that made it: ("scikit-learn", "1.2.1"), sorted."""


@dataclass(frozen=True, slots=True)
class LfsPointer:
    """A file of the project that is not there: a pointer of Git LFS stands in its place."""

    path: str
    size_bytes: int
    """Of what is missing."""
    reader: str = ""
    """`FILE:LINE` of code that names it; "" where none does."""


@dataclass(frozen=True, slots=True)
class MissingFile:
    """A file that the code reads by a literal name, and that the image lacks."""

    path: str
    """As the code names it."""
    reader: str
    """`FILE:LINE`."""
    because: str
    """Why it is not there: a clause."""
    at_start: bool = True
    """Whether it is read when its file is imported: not only in functions."""


@dataclass(frozen=True, slots=True)
class GpuUse:
    """A place in the project that speaks of a GPU."""

    source: str
    """`FILE:LINE`; of a notebook `FILE:CELL`."""
    what: str
    """What it does there: "starts from nvidia/cuda:11.8.0-base", "calls .cuda()"."""
    is_sure: bool = False
    """Whether the program is of no use without one."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A project that can be installed, as its build backend would install it."""

    name: str
    """As written."""
    version: str
    source: str
    """The file that says so, relative to the project."""
    source_folder: str = "."
    """Where its packages lie, relative to the project: "src"; "." for its top."""
    summary: str = ""
    requires_python: str = ""
    requirements: tuple[str, ...] = ()
    """PEP 508, in order."""
    entry_points: tuple[tuple[str, str, str], ...] = ()
    """(group, name, target), sorted: ("console_scripts", "train", "churn.train:main")."""
    version_files: tuple[str, ...] = ()
    """Files, relative to the project, that its backend would write with the version, and that are not there."""
    lacks: str = ""
    """What only its build would make: a clause without full stop; "" where its files are all there is."""

    @property
    def scripts(self) -> tuple[tuple[str, str], ...]:
        """(name, target) of its commands, those for a terminal first."""
        groups = ("console_scripts", "gui_scripts")
        return tuple((name, target) for group in groups for at, name, target in self.entry_points if at == group)


@dataclass(frozen=True, slots=True)
class LockFile:
    """The project's own pylock.toml."""

    path: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder, as facts. Paths are relative to `folder`, with `/`."""

    folder: Path
    settings: Settings = Settings()
    requirements: Requirements | None = None
    """None where nothing is asked for: no file says so, and no code imports anything of a third party."""
    imports: tuple[ImportedModule, ...] = ()
    """Of third parties, by the project's own code without its tests; sorted by name."""
    programs: tuple[Program, ...] = ()
    """What could be run, those nearest to the root first."""
    run_evidence: tuple[RunEvidence, ...] = ()
    """What the project's own texts say is run, the strongest first."""
    chosen_program: str = ""
    """The path of the program that the user chose of several; "" where nobody was asked."""
    python_evidence: tuple[PythonEvidence, ...] = ()
    """Strongest first."""
    files: tuple[ApplicationFile, ...] = ()
    """Sorted by path; every parent folder is an entry of its own."""
    left_out: tuple[tuple[str, str], ...] = ()
    """(path, reason) of what is never sent unless `include` names it, sorted by path."""
    ignored: tuple[tuple[str, str], ...] = ()
    """(path, rule) of what a pattern leaves out, sorted by path: ("models", ".dockerignore:1")."""
    written_files: tuple[tuple[str, str], ...] = ()
    """(path, `FILE:LINE`) of files that the code writes, where a literal names them, in the order of the code."""
    secrets: tuple[FoundSecret, ...] = ()
    """In the files that the image gets and in the settings, but for those that the settings allow; sorted."""
    data: tuple[DataUse, ...] = ()
    """That the code reads and no package brings; sorted."""
    models: tuple[ModelFile, ...] = ()
    """The trained models that say what made them, sorted by path."""
    lfs_pointers: tuple[LfsPointer, ...] = ()
    """Among the files that the image gets; sorted by path."""
    missing_files: tuple[MissingFile, ...] = ()
    """That the code reads, sorted by path."""
    processes: tuple[ProcessLine, ...] = ()
    system_packages: tuple[SystemPackage, ...] = ()
    """Of apt.txt, Aptfile and packages.txt."""
    gpu_uses: tuple[GpuUse, ...] = ()
    """In the order of the files, those that are sure first."""
    standard_imports: tuple[ImportedModule, ...] = ()
    """Of the standard library, by the project's own code, which cannot start without them; sorted by name."""
    revision: Revision | None = None
    has_dockerfile: bool = False
    dockerfile: FollowedDockerfile | UnsupportedInstruction | None = None
    """The project's own; None where it has none."""
    followed: FollowedDockerfile | None = None
    """The Dockerfile that the image is built as; None where the project's other files decide."""
    user_reason: str = ""
    """Why the settings' user is the one, where a Dockerfile says it: a clause without full stop."""
    places: tuple[tuple[str, str], ...] = ()
    """(path, absolute path in the image) of files that a Dockerfile puts elsewhere, sorted; once for each place."""
    name: str | None = None
    """Of pyproject.toml's [project]."""
    version: str | None = None
    """Of pyproject.toml's [project]."""
    lock_file: LockFile | None = None
    distributions: tuple[Distribution, ...] = ()
    """Itself where it can be installed, then those of its folders that it asks for."""
    streamlit_setups: tuple[str, ...] = ()
    """Shell scripts that do nothing but write Streamlit's settings into the home folder, sorted."""

    @property
    def standard_modules(self) -> tuple[str, ...]:
        """Top-level modules of the standard library that the project's code cannot start without, sorted."""
        return tuple(sorted({module.root for module in self.standard_imports}))

    @property
    def required_imports(self) -> tuple[ImportedModule, ...]:
        """What must be importable for the project's code to start."""
        return tuple(module for module in self.imports if module.top_level and not module.optional)

    @property
    def files_by_path(self) -> Mapping[str, ApplicationFile]:
        """The files by their paths."""
        return {file.path: file for file in self.files}


@dataclass(frozen=True, slots=True)
class RefusedPython:
    """A Python that was tried and for which nothing could be resolved."""

    python: str
    """Minor version: "3.13"."""
    because: str
    """A clause without full stop: "pandas==1.5.3 has no wheel"."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What a resolution came to: exactly which wheel of each package."""

    wheels: tuple[LockedWheel, ...]
    """Sorted by name."""
    suite: str
    """Name of the suite (Debian code name) or image whose Python and C library it is for."""
    python: str
    """Minor version."""
    platform: Platform
    inputs: Digest
    """Of all that the project says that a resolution depends on: a lock fits as long as this is the same."""
    refused: tuple[RefusedPython, ...] = ()
    """Newer Pythons that were tried first."""
    base: Base | None = None
    """Where the lock was read from a file that pins the base too."""
    source: str = ""
    """The file that it was read from, relative to the project; "" for a fresh resolution."""
    sources: tuple[LockedSource, ...] = ()
    """Packages that have no wheel, to be built; sorted by name."""
    decisions: tuple[Decision, ...] = ()
    """What was decided while it was resolved: as of when, what was held back, what was tried before."""
    changes: tuple[Correction, ...] = ()
    """What was taken otherwise than the project says it: `--strict` refuses it."""
    layers: tuple[LockedLayer, ...] = ()
    """Of a lock file: with some, a last image gives these and no others; () binds nothing."""
