"""What a project's files looked like at a moment: cheap enough to ask once a second."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from shipml.project.files import BUILD, FileRules, reason_to_leave_out

__all__ = ["stamps"]


def stamps(folder: Path, rules: FileRules) -> dict[str, tuple[int, int]]:
    """(modification time in ns, size in bytes) by path of the files that the image gets or is built by."""
    found: dict[str, tuple[int, int]] = {}
    todo = [""]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError), os.scandir(folder / parent if parent else folder) as entries:
            for entry in entries:
                path = f"{parent}/{entry.name}" if parent else entry.name
                if not _counts(entry, path, rules):
                    continue
                with contextlib.suppress(OSError):  # it is gone again
                    known = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(known.st_mode):
                        todo.append(path)
                    else:
                        found[path] = (known.st_mtime_ns, known.st_size)
    return found


def _counts(entry: os.DirEntry[str], path: str, rules: FileRules) -> bool:
    is_folder = entry.is_dir(follow_symlinks=False)
    reason = "" if rules.include.names(path) else reason_to_leave_out(entry, path)
    if reason:
        of_the_build = not is_folder and reason == BUILD
        return of_the_build or (is_folder and rules.include.names_below(path))
    return not rules.ignore.excludes(path) or (is_folder and rules.ignore.may_take_in_below(path))
