"""What must survive a power cut: bytes before the name that leads to them, names before the names that need them.

A rename may reach the disk before the bytes of the file, and renames in two folders in either order. So a blob is
synced before its rename; the folders of the blobs before a tag is written. Facts and trees are not synced: damaged
facts count as absent, and a tree is read again after the machine was started again (see `tree_manifest`).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

__all__ = ["make_folder", "sync_file", "sync_folder"]


def sync_file(stream: IO[bytes]) -> None:
    """Wait until all bytes of an open file are on the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where there is such a folder, and a file system that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder, and those above it, with exactly this mode; its name is on the disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    folder.chmod(mode)  # mkdir subtracts the umask
    sync_folder(folder.parent)
