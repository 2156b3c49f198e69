"""Which tags an image gets where nobody names any: the version and the revision that it carries itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["REVISION_LABEL", "VERSION_LABEL", "default_tags", "is_dirty"]

VERSION_LABEL = "org.opencontainers.image.version"
REVISION_LABEL = "org.opencontainers.image.revision"

_DIRTY = "-dirty"
_SHORT_REVISION = 12
"""Digits of a commit, as `docker` and GitHub's own actions abbreviate; 7 are not unique in large repositories."""
_TAG_LIMIT = 128


def default_tags(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The version, then the revision; () where the image knows neither.

    Two builds of one version differ in their revision, and a revision with changes that nobody committed says so.
    """
    commit, dash, dirty = labels.get(REVISION_LABEL, "").partition("-")
    tags = (_tag(labels.get(VERSION_LABEL, "")), _tag(commit[:_SHORT_REVISION] + dash + dirty))
    return tuple(dict.fromkeys(filter(None, tags)))


def is_dirty(labels: Mapping[str, str]) -> bool:
    """Whether the image holds changes that no commit has."""
    return labels.get(REVISION_LABEL, "").endswith(_DIRTY)


def _tag(text: str) -> str:
    """The nearest tag: `1.0+cpu` has a sign that no tag may have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip(".-")[:_TAG_LIMIT]
