"""Which image of a project folder a Docker Engine built last: remembered, since the store does not have it."""

from __future__ import annotations

from pathlib import Path

from shipml.store import Store

__all__ = ["BUILT_ON_ENGINE", "built_on_engine"]

BUILT_ON_ENGINE = "built-on-engine"
"""The kind of fact, by the folder's path: `{"id": …, "built_at_seconds": POSIX time}`."""


def built_on_engine(store: Store, folder: Path, *, since_seconds: float = 0.0) -> str:
    """The id of the image that was built from the folder on an engine after `since_seconds` (POSIX time), else ""."""
    fact = store.fact(BUILT_ON_ENGINE, str(folder.resolve()))
    if not isinstance(fact, dict) or float(fact.get("built_at_seconds", 0.0)) <= since_seconds:
        return ""
    return str(fact.get("id", ""))
