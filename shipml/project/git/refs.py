"""What HEAD points to (gitrepository-layout(5), "refs")."""

from __future__ import annotations

import os
import re
from pathlib import Path

from shipml.project.git.bounded import GitError, read_file, read_line
from shipml.project.git.layout import Repository

__all__ = ["head_commit"]

_MOST_STEPS = 5
"""As git: a branch may point to a branch, but not for ever."""
_PACKED_LIMIT_BYTES = 256 << 20
_NAME = re.compile(r"refs(?:/(?!\.)[^\x00-\x20\x7f~^:?*\[\\/]+)+")
_OF_ONE_WORKTREE = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")


def head_commit(repository: Repository) -> bytes | None:
    """The name of the commit that is checked out; None where nothing was committed yet.

    Raises:
        GitError: HEAD or a branch cannot be read.
    """
    name = "HEAD"
    for _ in range(_MOST_STEPS):
        words = _loose(repository, name)
        if words is None:
            words = _packed(repository, name)
        if words is None:
            return None
        if not words.startswith("ref:"):
            return _oid(repository, words)
        name = words.removeprefix("ref:").strip()
        if not _NAME.fullmatch(name) or ".." in name:
            raise GitError("HEAD in its repository points to what is not a branch")
    raise GitError("the branches in its repository point to each other in a circle")


def _loose(repository: Repository, name: str) -> str | None:
    mine = name == "HEAD" or name.startswith(_OF_ONE_WORKTREE)
    path = Path(repository.git if mine else repository.common, name)
    if name == "HEAD" and path.is_symlink():  # as git had it before 2005, and with core.preferSymlinkRefs
        return f"ref: {path.readlink()}"
    return read_line(path)


def _packed(repository: Repository, name: str) -> str | None:
    data = read_file(repository.common / "packed-refs", _PACKED_LIMIT_BYTES) or b""
    ending = b" " + os.fsencode(name) + b"\n"
    at = (data if data.endswith(b"\n") else data + b"\n").find(ending)
    return None if at < 0 else os.fsdecode(data[data.rfind(b"\n", 0, at) + 1 : at])


def _oid(repository: Repository, words: str) -> bytes:
    try:
        found = bytes.fromhex(words.split(maxsplit=1)[0] if words else "")
    except ValueError:
        found = b""
    if len(found) != repository.oid_bytes:
        raise GitError("a branch in its repository does not name a commit")
    return found
