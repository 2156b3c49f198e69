"""What git knows about the project: read with the `git` program, which may be missing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from shipml.events import Emit, Notice, ignore
from shipml.facts.project import Revision

__all__ = ["describe_tag", "public_url", "read_revision"]

_TIMEOUT_SECONDS = 20.0
_SCP_LIKE = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:@]+):(?P<path>(?!//).+)")


def read_revision(folder: Path, emit: Emit = ignore) -> Revision | None:
    """The commit that `folder` is checked out at; None without git, a repository or a commit."""
    head = _git(folder, emit, "log", "-1", "--no-show-signature", "--format=%H %ct")
    commit, _, seconds = (head or "").strip().partition(" ")
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit) or not seconds.isdecimal():
        return None
    changes = _git(folder, emit, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    remote = _git(folder, emit, "config", "--get", "remote.origin.url")
    return Revision(commit, bool((changes or "").strip()), int(seconds), public_url((remote or "").strip()))


def describe_tag(folder: Path) -> str:
    """`TAG-COMMITS-gHASH` from the nearest tag that holds a number; "" without git or such a tag."""
    return (_git(folder, ignore, "describe", "--tags", "--long", "--match", "*[0-9]*") or "").strip()


def public_url(remote: str) -> str:
    """Where others find the repository, without credentials: `https://host/path`; "" for a local folder.

    `git@host:path` and `ssh://git@host/path` become https, which the large forges serve at the same path.
    """
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, port = parts.hostname, parts.port
        except ValueError:
            return ""
        if parts.scheme not in ("https", "http", "ssh", "git", "git+ssh") or not host:
            return ""
        scheme = parts.scheme if parts.scheme == "http" else "https"
        kept_port = f":{port}" if port and parts.scheme in ("http", "https") else ""
        return f"{scheme}://{host}{kept_port}{parts.path}"
    scp = _SCP_LIKE.fullmatch(remote)
    return f"https://{scp['host']}/{scp['path'].lstrip('/')}" if scp else ""


def _git(folder: Path, emit: Emit, *arguments: str) -> str | None:
    """What git prints, or None where it fails. Nothing that the repository's configuration names is run."""
    environment = {name: value for name, value in os.environ.items() if name not in _REDIRECTIONS}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            env=environment,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        if b"dubious ownership" in done.stderr:
            emit(
                Notice(
                    "git does not trust this folder because another user owns it, so the image carries no revision; "
                    f"to change that: git config --global --add safe.directory {folder}",
                    level="warning",
                )
            )
        return None
    return done.stdout.decode("utf-8", "replace")


_REDIRECTIONS = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"})
