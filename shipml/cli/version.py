"""`shipml version`."""

from __future__ import annotations

import platform

from shipml.cli.console import Console

__all__ = ["version", "version_text"]


def version_text() -> str:
    """What `--version` prints."""
    return f"shipml {_version()}"


def version(console: Console) -> None:
    """Print the version.

    Examples:
      shipml version
      shipml version --json
    """
    if console.as_json:
        console.document({"shipml": _version(), "python": platform.python_version()})
    else:
        console.data(version_text())


def _version() -> str:
    from importlib.metadata import version as version_of

    return version_of("shipml")
