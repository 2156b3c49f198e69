"""Where the repository of a folder lies: `.git`, worktrees and submodules (gitrepository-layout(5))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shipml.project.git.bounded import GitError, read_line
from shipml.project.git.config import Config, read_config, read_own_config

__all__ = ["Repository", "find_repository", "open_repository"]

_OID_BYTES = {"sha1": 20, "sha256": 32}


@dataclass(frozen=True, slots=True)
class Repository:
    """One checkout."""

    root: Path
    """Where the files lie: the folder that holds `.git`, whatever core.worktree says."""
    git: Path
    """What belongs to this checkout alone: HEAD, the index."""
    common: Path
    """What all of its worktrees share: objects, refs, configuration."""
    config: Config
    """The repository's own settings over the user's."""
    own: Config
    """The repository's own settings alone."""
    algorithm: str
    """sha1 or sha256."""

    @property
    def oid_bytes(self) -> int:
        """How long an object's name is."""
        return _OID_BYTES[self.algorithm]


def find_repository(folder: Path, environment: Mapping[str, str] = os.environ) -> Repository | None:
    """The repository that `folder` lies in: the nearest above it on the same file system; None: there is none.

    Raises:
        GitError: it cannot be read.
    """
    ceilings = {Path(one) for one in environment.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep) if one}
    top = folder.resolve()
    device = top.stat().st_dev
    for place in (top, *top.parents):
        if place.stat().st_dev != device or (place != top and place in ceilings):
            return None
        if (found := open_repository(place)) is not None:
            return found
    return None


def open_repository(root: Path) -> Repository | None:
    """The repository whose `.git` lies in `root`; None: there is none.

    Raises:
        GitError: it cannot be read, or has a form that is not known here.
    """
    git = root / ".git"
    if git.is_file():
        words = read_line(git) or ""
        if not words.startswith("gitdir:"):
            return None
        git = root / words.removeprefix("gitdir:").strip()
    if not (git / "HEAD").exists() and not (git / "HEAD").is_symlink():
        return None
    pointed = read_line(git / "commondir")
    common = git / pointed if pointed else git
    own = read_config(common / "config")
    if own.is_true("extensions.worktreeconfig"):
        own = read_config(git / "config.worktree").over(own)
    algorithm = own.last("extensions.objectformat", "sha1").lower()
    if algorithm not in _OID_BYTES:
        raise GitError("its repository names its objects in a way that shipml does not know")
    if own.last("extensions.refstorage", "files").lower() != "files":
        raise GitError("its repository keeps its branches as reftable, which shipml does not read")
    return Repository(root, git, common, own.over(read_own_config()), own, algorithm)
