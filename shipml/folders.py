"""Folders of strangers, as deep as they like: walked and removed without recursion, and without long paths."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["is_file", "is_folder", "is_there", "remove_tree", "walk_files"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_file(path: Path) -> bool:
    """Whether a file is there; False, too, for a name that no file can have (`Path.is_file` raises for long ones)."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """As `is_file`."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path) -> bool:
    """As `is_file`, for anything."""
    return os.path.exists(path)  # noqa: PTH110


def walk_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every file and link below `folder`, in no order; what cannot be read, or has too long a path, is passed over."""
    waiting = [os.fspath(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with all that is in it, read-only folders included; a missing one is fine.

    What is in the way stays, without an error: a clean-up must not end what comes after it. Folders in folders are
    first moved up to `path`, so that no path gets longer and no call deeper than one level.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        _let_in(path)
        top = os.open(path, _FOLDER)
    except OSError:
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    with contextlib.suppress(OSError):
        path.rmdir()


def _empty(top: int) -> None:
    """Remove everything in the open folder `top`, as far as that can be done."""
    number, moved = 0, True
    while moved:
        moved = False
        for name in os.listdir(top):
            if _unlinked(name, top):
                continue
            with contextlib.suppress(OSError):
                _let_in(name, top)
                inner = os.open(name, _FOLDER, dir_fd=top)
                try:
                    for child in os.listdir(inner):  # noqa: PTH208  (of a descriptor: paths may be too long)
                        if not _unlinked(child, inner):
                            number = _move_up(child, inner, top, number)
                            moved = True
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)


def _unlinked(name: str, parent: int) -> bool:
    """Whether that was no folder, and is gone."""
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return False
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _move_up(name: str, parent: int, top: int, number: int) -> int:
    """Move a folder into `top` under a name that is free there; returns the next number to try."""
    _let_in(name, parent)
    while True:
        number += 1
        free = f".removed-{number}"
        try:
            os.stat(free, dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, free, src_dir_fd=parent, dst_dir_fd=top)
            return number


def _let_in(name: str | Path, parent: int | None = None) -> None:
    """Let the owner into a folder, and change it: a read-only one could not be emptied."""
    with contextlib.suppress(OSError):  # not ours: the kernel decides
        os.chmod(name, 0o700, dir_fd=parent)
