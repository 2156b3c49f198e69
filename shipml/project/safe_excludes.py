"""What never goes into an image unless the setting `include` names it: secrets, history, environments, caches.

Folders called build or dist are *not* among them: they often hold a web front end or a model that the program needs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["SECRET", "may_hold_secret", "reason_to_leave_out"]

SECRET = "may hold a secret"  # noqa: S105 - a reason, not a password
HISTORY = "history of the source"
ENVIRONMENT = "an environment of this machine"
CACHE = "made again when needed"
BUILD = "only for building"

_FOLDERS = {
    **dict.fromkeys((".git", ".hg", ".svn", ".bzr", ".jj"), HISTORY),
    **dict.fromkeys((".aws", ".azure", ".ssh", ".gnupg", ".kube", ".docker", ".gcloud"), SECRET),
    **dict.fromkeys(
        ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints", ".hypothesis", ".tox"),
        CACHE,
    ),
    **dict.fromkeys((".nox", "node_modules", ".cache", ".eggs", ".shipml"), CACHE),
    **dict.fromkeys((".vscode", ".idea"), "for the editor"),
}
_FILES = {
    **dict.fromkeys(
        (
            ".netrc",
            "_netrc",
            ".pypirc",
            ".git-credentials",
            ".pgpass",
            ".npmrc",
            ".htpasswd",
            "credentials.json",
            "pip.conf",
        ),
        SECRET,
    ),
    **dict.fromkeys((".git", ".hg"), HISTORY),
    **dict.fromkeys((".ds_store", "thumbs.db", ".coverage"), CACHE),
}
_NAMES = (
    (re.compile(r"\.env(?:\..+)?|\.envrc"), SECRET),
    (re.compile(r".+\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk)"), SECRET),
    (re.compile(r"id_(?:rsa|dsa|ecdsa|ed25519)(?:[_.-].*)?(?<!\.pub)"), SECRET),
    (re.compile(r"(?:.*[_.-])?service[_-]?account.*\.json"), SECRET),
    (re.compile(r"client_secret.*\.json|.+\.tfstate(?:\.backup)?|kubeconfig"), SECRET),
    (re.compile(r".+\.py[co]|.+\.swp|\.coverage\..+"), CACHE),
)
_AT_THE_TOP = re.compile(r"(?:.+\.)?dockerfile(?:\..+)?|\.dockerignore|shipml\.toml|pylock(?:\.[^.]+)?\.toml")


def reason_to_leave_out(entry: os.DirEntry[str], *, at_top: bool) -> str:
    """Why the file, folder or link `entry` is never sent, in a word or two; "" where it is."""
    name = entry.name.lower()
    if entry.is_dir(follow_symlinks=False):
        return _folder_reason(Path(entry.path), name)
    if at_top and _AT_THE_TOP.fullmatch(name):
        return BUILD
    if name in _FILES:
        return _FILES[name]
    return next((reason for pattern, reason in _NAMES if pattern.fullmatch(name)), "")


def may_hold_secret(path: str) -> bool:
    """Whether the name of the file `path` (with `/`), or of a folder above it, speaks of a secret."""
    *folders, name = path.lower().split("/")
    if any(_FOLDERS.get(folder) == SECRET for folder in folders) or _FILES.get(name) == SECRET:
        return True
    return any(reason == SECRET and pattern.fullmatch(name) for pattern, reason in _NAMES)


def _folder_reason(path: Path, name: str) -> str:
    if name in _FOLDERS:
        return _FOLDERS[name]
    if name.endswith(".egg-info"):
        return BUILD
    if (path / "pyvenv.cfg").is_file() or (path / "conda-meta" / "history").is_file():
        return ENVIRONMENT
    if (path / "oci-layout").is_file() and (path / "index.json").is_file():
        return "an image"
    return ""
