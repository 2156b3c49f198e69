"""How a project's own Dockerfile may be called, and which file says what its builds leave out."""

from __future__ import annotations

import os
from pathlib import Path

from shipml.errors import ConfigurationError

__all__ = ["find_dockerfile", "ignore_files", "require_inside"]

_NAMES = ("Dockerfile", "dockerfile", "Containerfile")
"""In the order in which docker looks; podman alone knows the last one."""


def find_dockerfile(folder: Path) -> Path | None:
    """The Dockerfile at the top of a project."""
    return next((folder / name for name in _NAMES if (folder / name).is_file()), None)


def ignore_files(folder: Path, dockerfile: Path | None) -> tuple[Path, ...]:
    """The files that may say what stays out of a build; the first that exists counts, and it alone.

    Args:
        folder: what is built from.
        dockerfile: what is built; None for a build without one.
    """
    general = [folder / ".dockerignore"]
    if dockerfile is None:
        return tuple(general)
    if dockerfile.name == "Containerfile":
        general.insert(0, folder / ".containerignore")
    return dockerfile.with_name(f"{dockerfile.name}.dockerignore"), *general


def require_inside(folder: Path, path: Path) -> None:
    """Raise ConfigurationError where a file of the project is a link out of it: messages quote what is read of it.

    Args:
        folder: the project.
        path: of a file below it; one that lies elsewhere is the user's own choice.
    """
    top = os.path.realpath(folder)
    if path.absolute().is_relative_to(folder.absolute()) and not Path(os.path.realpath(path)).is_relative_to(top):
        raise ConfigurationError(
            f"{path.name} is a link that leads out of the project", hint="put the file itself in its place"
        )
