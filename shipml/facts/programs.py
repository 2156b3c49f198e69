"""The programs of a project, and what says which of them is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Program", "ProgramKind", "RunEvidence", "RunEvidenceKind"]

ProgramKind: TypeAlias = Literal["flask", "fastapi", "streamlit", "gradio", "dash", "django", "script", "notebook"]


RunEvidenceKind: TypeAlias = Literal["readme", "make", "script", "ci", "compose", "mlproject"]
"""Where it stands, the strongest first."""


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """A command for one of the project's files that a text of it shows."""

    path: str
    """The file that it runs."""
    source: str
    """`FILE:LINE`."""
    kind: RunEvidenceKind
    arguments: tuple[str, ...] = ()
    """What follows the file, where that can be taken as it is."""
    folder: str = ""
    """Where the command is given, relative to the project: "" for its own folder."""


@dataclass(frozen=True, slots=True, order=True)
class Program:
    """A file that can be run."""

    path: str
    """Relative to the project, with `/`."""
    kind: ProgramKind
    line: int = 0
    """Where the object is made that shows what it is; 0 where the whole file does."""
    object: str = ""
    """What a server is told to serve: `app`, `create_app()`; "" where it is not an object of a module."""
    port: int | None = None
    """Where it listens when it is run itself, as the code says."""
    host: str = ""
    """The address that it listens on then, as the code says; "" where it does not."""
    routes: tuple[str, ...] = ()
    """Paths without parameters that answer GET, in the order of the code."""
    runs_itself: bool = False
    """Whether it starts its own server, or has an `if __name__ == "__main__"`."""
    prepares_itself: bool = False
    """Whether that block binds what functions of the module read: a server that imports it would miss that."""
    needs_its_folder: bool = False
    """Whether it imports what lies beside it as if its own folder were on the path."""
    is_imported: bool = False
    """Whether another program imports it."""
    calls_shell: bool = False
    """Whether it is a notebook with commands for a shell, other than pip's."""
    as_module: bool = False
    """Whether it lies in a package and is run as `python -m`: it imports its neighbours relatively."""
    package_folder: str = ""
    """Where the package lies then, relative to the project: "src"; "" for its top."""
    calls_nothing: bool = False
    """Whether running the file does nothing: it only defines and imports."""

    @property
    def folder(self) -> str:
        """The folder of the file; "" for the project's own."""
        return self.path.rpartition("/")[0]

    @property
    def module(self) -> str:
        """The module's name for an import from the project's folder, or from its own where it needs that."""
        path = self.path.rpartition("/")[2] if self.needs_its_folder else self.path
        if self.as_module and self.package_folder:
            path = path.removeprefix(f"{self.package_folder}/")
        return path.removesuffix(".py").removesuffix("/__init__").removesuffix("/__main__").replace("/", ".")

    @property
    def source(self) -> str:
        """`FILE:LINE`."""
        return f"{self.path}:{self.line}" if self.line else self.path
