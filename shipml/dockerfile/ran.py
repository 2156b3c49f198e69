"""What the commands of a RUN come to, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from shipml.facts.dockerfile import DockerfileUser

__all__ = ["GROUPS", "NOGROUP", "Ran", "RunError"]

NOGROUP = 65534
GROUPS = {"root": 0, "www-data": 33, "staff": 50, "users": 100, "nogroup": NOGROUP}
"""Those of Debian's images that Dockerfiles name."""


class RunError(Exception):
    """Why a command is not understood: a clause."""

    def __init__(self, because: str, *, is_light: bool = False) -> None:
        """`is_light`: the image can do without what it does."""
        super().__init__(because)
        self.is_light = is_light


@dataclass(slots=True)
class Ran:
    """What a RUN does."""

    system_packages: list[str] = field(default_factory=list)
    requirement_files: list[str] = field(default_factory=list)
    """As written: relative to the working directory, or absolute."""
    constraint_files: list[str] = field(default_factory=list)
    """The same, after -c."""
    requirements: list[str] = field(default_factory=list)
    index_options: list[str] = field(default_factory=list)
    project_files: list[str] = field(default_factory=list)
    """What a tool installs from, as written."""
    extras: list[str] = field(default_factory=list)
    dependency_groups: list[str] = field(default_factory=list)
    exported: list[str] = field(default_factory=list)
    """Requirements files that a tool writes from one of these."""
    conda_packages: list[str] = field(default_factory=list)
    installs_itself: bool = False
    environments: list[str] = field(default_factory=list)
    executables: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    users: list[DockerfileUser] = field(default_factory=list)
    """Those of earlier RUNs are not among them."""
    known_users: tuple[DockerfileUser, ...] = ()
    groups: dict[str, int] = field(default_factory=dict)
    """All that there are, by name."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(command, why) of what the image can do without."""
    folder: str = ""
    """Where `cd` has led; "" for the working directory."""
