"""How a project's own Dockerfile may be called, and which file says what its builds leave out."""

from __future__ import annotations

from pathlib import Path

__all__ = ["find_dockerfile", "ignore_files"]

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
