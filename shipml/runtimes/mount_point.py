"""Where a sandbox mounts its root file system before it enters it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["mount_point"]

_MOUNT_POINTS = ("/mnt", "/media", "/srv", "/tmp")  # noqa: S108  (only the sandbox sees what is mounted there)


def mount_point(home: Path) -> str:
    """A folder of this machine that is not above the store at `home`: mounting there would hide the layers."""
    resolved = home.resolve()
    return next(point for point in _MOUNT_POINTS if Path(point).is_dir() and not resolved.is_relative_to(point))
