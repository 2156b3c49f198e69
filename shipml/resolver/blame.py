"""Which package is too new for which, by the traceback of a failed import. Pure.

The deepest installed package that fails on another's missing name, changed function or refused version blames that
other one, where it is newer; what the project pins is its own word.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shipml.failed_imports import FailedImport, Trace

__all__ = ["Blame", "blamed", "is_about_versions", "suspects"]

_ABOUT_VERSIONS = frozenset(
    {
        "AssertionError",
        "AttributeError",
        "ContextualVersionConflict",
        "ImportError",
        "KeyError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
        "RuntimeError",
        "SyntaxError",
        "TypeError",
        "ValueError",
        "VersionConflict",
    }
)
"""Exceptions that a changed package causes; others are about files, credentials, data and networks."""
_REFUSES = re.compile(
    r"\b(?:requires?|required|needs?|incompatib\w+|compiled|supported|found|installed|version|failed to import)\b"
    r"|size changed|[<>=!~]=?\s*\d",
    re.IGNORECASE,
)
"""Words of a package that does not accept the version of another one."""
_BETWEEN = frozenset({"setuptools", "importlib-metadata", "packaging"})
"""They look at versions for others, and fail for nobody's sake."""
_NEWER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Blame:
    """A package that is too new for another one."""

    package: str
    failing: str
    at: datetime
    """When the failing one was uploaded: the other is taken as it was then."""


def is_about_versions(failed: FailedImport) -> bool:
    """Whether an installed package is not what the code that imports it expects."""
    return any(one.error in _ABOUT_VERSIONS and (one.packages or one.named) for one in failed.traces)


def suspects(traces: Sequence[Trace], installed: Collection[str]) -> tuple[str, ...]:
    """The packages that may be to blame and those that may blame them: whose dates count."""
    names = [name for trace in traces for name in (*trace.packages, *trace.named, *_refused(trace, installed))]
    return tuple(name for name in dict.fromkeys(names) if name in installed)


def blamed(traces: Sequence[Trace], uploads: Mapping[str, datetime], pinned: Collection[str]) -> Blame | None:
    """The package that an exception blames; None where none is certain.

    Args:
        traces: the exception, then those that led to it.
        uploads: when the version of each package in the image was uploaded.
        pinned: what the project itself says the version of.
    """
    for trace in traces:
        if trace.error not in _ABOUT_VERSIONS:
            continue
        for failing, package in _pairs(trace, uploads):
            if package == failing or package in pinned or failing in _BETWEEN or not {package, failing} <= set(uploads):
                continue
            if uploads[package] - uploads[failing] > _NEWER:
                return Blame(package, failing, uploads[failing])
    return None


def _pairs(trace: Trace, installed: Collection[str]) -> Iterator[tuple[str, str]]:
    """(failing, blamed), the likeliest first: what the exception names, what its words do, who was called."""
    inner = [*reversed(trace.packages)]
    for package in (*trace.named, *_refused(trace, installed)):
        yield from ((failing, package) for failing in inner)
    yield from ((failing, package) for package, failing in itertools.pairwise(inner))


def _refused(trace: Trace, installed: Collection[str]) -> list[str]:
    """The packages that an exception says are of the wrong version."""
    if not _REFUSES.search(trace.text):
        return []
    words = re.findall(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*", trace.text.lower())
    whole = (re.sub(r"[-_.]+", "-", word) for word in words)
    found = (name for word in whole for name in (word, word.partition("-")[0]) if name in installed)
    return list(dict.fromkeys(found))
