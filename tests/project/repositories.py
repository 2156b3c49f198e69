"""Repositories made with the real git, and what it says of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["committed", "git", "said_by_git"]

_IDENTITY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
}  # fmt: skip


def git(folder: Path, *arguments: str, when: int = 1_600_000_000) -> str:
    """What git prints when it is run in `folder`."""
    dates = {"GIT_AUTHOR_DATE": f"{when} +0200", "GIT_COMMITTER_DATE": f"{when} +0200"}
    command = ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, env={**os.environ, **_IDENTITY, **dates}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def committed(folder: Path, *options: str, **files: str) -> Path:
    """A repository of two files with one commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", *options)
    for name, text in ({"app": "print(1)\n", "src/a": "1\n"} | files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    return folder


def said_by_git(folder: Path) -> tuple[str, int, bool]:
    """Commit, its time in seconds, and whether anything is changed, by the real git."""
    commit, seconds = git(folder, "log", "-1", "--format=%H %ct").split()
    status = git(folder, "--no-optional-locks", "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return commit, int(seconds), bool(status.strip())
