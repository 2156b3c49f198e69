"""What git knows about the project: read from the repository's files, since starting git may run what they name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from shipml.events import Emit, Notice, ignore
from shipml.facts.project import Revision
from shipml.project.git.bounded import Deadline, GitError
from shipml.project.git.changes import is_changed
from shipml.project.git.config import read_own_config
from shipml.project.git.describe import describe
from shipml.project.git.layout import Repository, find_repository
from shipml.project.git.objects import Objects
from shipml.project.git.refs import head_commit
from shipml.project.git.tree import read_commit

__all__ = ["describe_tag", "public_url", "read_revision"]

_SCP_LIKE = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:@]+):(?P<path>(?!//).+)")
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_SCHEMES = ("https", "http", "ssh", "git", "git+ssh")


def read_revision(folder: Path, emit: Emit = ignore) -> Revision | None:
    """The commit that `folder` is checked out at; None without a repository, a commit, or where it cannot be read."""
    try:
        return _read(folder)
    except (GitError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        emit(Notice(f"the image carries no revision of the project: {why}", level="warning"))
        return None


def describe_tag(folder: Path) -> str:
    """`TAG-COMMITS-gHASH` from the nearest tag that holds a number; "" without a repository or such a tag."""
    try:
        repository = find_repository(folder)
        head = head_commit(repository) if repository and _is_trusted(repository, folder) else None
        return describe(repository, head, Deadline()) if repository and head else ""
    except (GitError, OSError):
        return ""


def public_url(remote: str) -> str:
    """Where others find the repository, without credentials: `https://host/path`; "" for a local folder.

    `git@host:path` and `ssh://git@host/path` become https, which the large forges serve at the same path. A path that
    holds an `@` may end in what was meant as credentials, so that there is no URL then.
    """
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, port = parts.hostname, parts.port
        except ValueError:
            return ""
        if parts.scheme not in _SCHEMES or not host:
            return ""
        shown = f"[{host}]" if ":" in host else host
        scheme = parts.scheme if parts.scheme == "http" else "https"
        kept_port = f":{port}" if port and parts.scheme in ("http", "https") else ""
        return _checked(f"{scheme}://", shown, kept_port, parts.path)
    scp = _SCP_LIKE.fullmatch(remote)
    if scp is None or scp["host"].lower() in (*_SCHEMES, "file"):
        return ""
    return _checked("https://", scp["host"], "", "/" + re.split(r"[?#]", scp["path"], maxsplit=1)[0].lstrip("/"))


def _read(folder: Path) -> Revision | None:
    repository = find_repository(folder)
    if repository is None:
        return None
    if not _is_trusted(repository, folder):
        fix = f"git config --global --add safe.directory {repository.root}"
        raise GitError(f"its repository belongs to another user; to use it: {fix}")
    head = head_commit(repository)
    if head is None:
        return None
    deadline = Deadline()
    seconds = read_commit(Objects(repository, deadline), head).committed_at_seconds
    if seconds < 0:
        return None
    dirty = is_changed(repository, head, folder, deadline)
    return Revision(head.hex(), dirty, seconds, public_url(repository.own.last("remote.origin.url")))


def _checked(scheme: str, host: str, port: str, path: str) -> str:
    """The URL; "" where its path may hold credentials, or its host is not one."""
    hidden = re.search(r"@|%40|[\x00-\x20\x7f]|://", path, re.IGNORECASE)
    return "" if hidden or not _HOST.fullmatch(host) else f"{scheme}{host}{port}{path}"


def _is_trusted(repository: Repository, folder: Path) -> bool:
    """Whether the repository belongs to the user or to the folder's owner, or the user said that it is fine.

    Nothing of it is run either way. But who puts a repository above somebody else's folder (in /tmp, say) would
    decide what revision that folder's image claims.
    """
    trusted = {os.geteuid(), folder.stat().st_uid}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        trusted.add(int(os.environ["SUDO_UID"]))
    if {(repository.root / ".git").stat().st_uid, repository.git.stat().st_uid} <= trusted:
        return True
    safe = read_own_config().values.get("safe.directory", ())
    return "*" in safe or str(repository.root) in safe
