"""Files of the project that hold the credentials of a package index: no program needs them, and images are shared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from shipml.errors import ConfigurationError
from shipml.project.text import read_any_text

__all__ = ["files_with_credentials"]

_CREDENTIALS = re.compile(r"https?://(?:[^/\s:@\"']*:(?!\$\{)[^/\s@\"']+|(?!\$)[^/\s:@\"']{16,})@")
"""A user with a password, or a token alone, in a URL; not `${NAME}`, which stands for them."""
_CONFIGURATION = (
    "pyproject.toml",
    "uv.toml",
    "uv.lock",
    "pylock.toml",
    "poetry.toml",
    "poetry.lock",
    "pdm.toml",
    "pdm.lock",
    "Pipfile",
    "Pipfile.lock",
    "setup.cfg",
    "tox.ini",
    "Dockerfile",
    "dockerfile",
    "Containerfile",
    ".condarc",
)


def files_with_credentials(folder: Path, texts: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The paths of those among the dependency files that were read, and the configuration at the top.

    Args:
        folder: the project.
        texts: (path, text) of dependency files.
    """
    found = {path for path, text in texts if _CREDENTIALS.search(text)}
    return frozenset(found | {name for name in _CONFIGURATION if _CREDENTIALS.search(_text(folder, name))})


def _text(folder: Path, name: str) -> str:
    try:
        found = read_any_text(folder, name) if (folder / name).is_file() else None
    except (OSError, ConfigurationError):
        return ""
    return found[0] if found is not None else ""
