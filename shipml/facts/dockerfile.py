"""What a project's Dockerfile says, as values: understood as a whole, or not, because of one instruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Copied", "DockerfileCommand", "DockerfileUser", "FollowedDockerfile", "Following", "UnsupportedInstruction"]


@dataclass(frozen=True, slots=True)
class UnsupportedInstruction:
    """The first instruction that only an engine can carry out."""

    line: int
    """Counted from 1."""
    instruction: str
    """Its beginning, on one line."""
    because: str
    """A clause without full stop."""
    file: str = "Dockerfile"

    @property
    def sentence(self) -> str:
        """Where, what and why."""
        return f"{self.file}:{self.line} ({self.instruction}): {self.because}"


@dataclass(frozen=True, slots=True)
class Copied:
    """One source of a COPY."""

    source: str
    """Relative to the project's folder, "" for all of it; may be a pattern of one component."""
    destination: str
    """Absolute; ends with "/" where it is a folder."""
    line: int


@dataclass(frozen=True, slots=True)
class DockerfileCommand:
    """ENTRYPOINT and CMD."""

    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    text: str = ""
    """The command as one string, where it is written for a shell; then the two others are ()."""
    line: int = 0
    is_entrypoint: bool = False
    """Whether `text` is that of ENTRYPOINT."""


@dataclass(frozen=True, slots=True)
class DockerfileUser:
    """A user that `useradd` or `adduser` makes."""

    name: str
    user_id: int
    group_id: int
    home: str
    """Absolute; it need not exist."""


@dataclass(frozen=True, slots=True)
class FollowedDockerfile:
    """A Dockerfile of which every instruction that matters can be carried out without an engine."""

    base: str
    """What FROM names, arguments replaced."""
    python: str = ""
    """Minor version of the base's Python, where its name says it."""
    working_dir: str = "/"
    copies: tuple[Copied, ...] = ()
    folders: tuple[str, ...] = ()
    """Made by `mkdir`: absolute."""
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    exposed_ports: tuple[int, ...] = ()
    user: str = ""
    """A number or name; "" for root."""
    home: str = ""
    """Of the user, where the Dockerfile makes it: absolute."""
    users: tuple[DockerfileUser, ...] = ()
    """Made by `useradd` or `adduser`."""
    command: DockerfileCommand | None = None
    system_packages: tuple[tuple[str, int], ...] = ()
    """Debian packages and the lines that install them."""
    requirement_files: tuple[tuple[str, int], ...] = ()
    """Relative to the project's folder, and the lines that install them."""
    requirements: tuple[tuple[str, int], ...] = ()
    """Requirements given to pip themselves, and their lines."""
    index_options: tuple[str, ...] = ()
    """As a requirements file takes them: `--extra-index-url URL`."""
    constraint_files: tuple[tuple[str, int], ...] = ()
    """After -c: relative to the project's folder, and the lines that name them."""
    project_files: tuple[str, ...] = ()
    """What a tool such as poetry or uv installs from: "pyproject.toml", "Pipfile", "environment.yml"; relative."""
    extras: tuple[str, ...] = ()
    """Extras of the project that a tool installs."""
    groups: tuple[str, ...] = ()
    """The same of dependency groups."""
    conda_packages: tuple[tuple[str, int], ...] = ()
    """What conda installs by name ("numpy=1.21"), and the lines."""
    installs_itself: bool = False
    """Whether the project is installed as well: `pip install .`, `poetry install`."""
    environments: tuple[str, ...] = ()
    """Folders of virtual environments that it makes: absolute."""
    executables: tuple[str, ...] = ()
    """Files that `chmod` makes executable, as they lie in the image: absolute, or patterns."""
    written: tuple[tuple[str, str], ...] = ()
    """(absolute path, text) of files that the Dockerfile holds itself."""
    skipped: tuple[UnsupportedInstruction, ...] = ()
    """What only an engine would carry out, and the image can do without."""
    image: str = ""
    """What the image stands on where it is more than a Python: "debian:bookworm", or an image of a registry."""
    health_path: str = ""
    """Of HEALTHCHECK, where it asks an URL of this machine."""
    file: str = "Dockerfile"
    """Its name."""


Following: TypeAlias = Literal["ignore", "try", "follow"]
"""Whether a project's own Dockerfile decides: never, where it is understood, or always."""
