"""Pre-releases: only where the project or a package asks for one by name, or where a package has nothing else.

uv on its own falls back to a pre-release where no stable release fits, so a new Python gets release candidates.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from shipml.resolver.errors import is_about_packages
from shipml.resolver.uv import Question, Uv, UvError, dated_arguments

__all__ = ["resolved"]

_MOST_ROUNDS = 12
"""As often as packages that have only pre-releases come to light one after the other."""
_DEMANDED = re.compile(r"`(?P<name>[A-Za-z0-9][\w.-]*)` was requested with a pre-release marker")
_AVAILABLE = re.compile(r"Pre-releases are available for `(?P<name>[A-Za-z0-9][\w.-]*)`")
_PYTHONS = ("3.14", "3.9")


def resolved(uv: Uv, question: Question) -> tuple[Question, dict[str, Any]]:
    """Uv's answer, and the question with the names for which a pre-release may be taken.

    Raises:
        UvError, ResolutionError, UnavailableError: as `Uv.resolve`.
    """
    for _ in range(_MOST_ROUNDS):
        try:
            return question, uv.resolve(question)
        except UvError as error:
            names = _allowed(uv, question, error.stderr) - set(question.prereleases)
            if not names:
                raise
        question = replace(question, prereleases=(*question.prereleases, *sorted(names)))
    return question, uv.resolve(question)


def _allowed(uv: Uv, question: Question, stderr: str) -> set[str]:
    """The packages that another asks for in a pre-release, and those that have no stable release."""
    text = re.sub(r"\s+", " ", stderr)
    demanded = {match["name"] for match in _DEMANDED.finditer(text)}
    offered = {match["name"] for match in _AVAILABLE.finditer(text)}
    return demanded | {name for name in offered if not _has_stable(uv, name, question)}


def _has_stable(uv: Uv, name: str, question: Question) -> bool:
    """Whether there is a stable release of a package as of the question's date, for whatever Python."""
    dated = tuple(dated_arguments(question))
    for python in _PYTHONS:
        try:
            uv.files_of(
                [name], question.declared.options, "--prerelease", "disallow", "--python-version", python, *dated
            )
        except UvError as error:
            if not is_about_packages(error.stderr):
                raise
        else:
            return True
    return False
