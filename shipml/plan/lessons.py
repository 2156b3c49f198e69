"""What a failed import check teaches about a project, so that the next attempt goes well. Pure.

Two causes are certain from the words of the failure alone: the standard library of that Python lacks what a package
imports, and a package imports pkg_resources without asking for setuptools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from shipml.facts.project import Project
from shipml.facts.requirements import Correction, DeclaredRequirement
from shipml.plan.python_version import PythonCandidate

__all__ = ["Failed", "Lesson", "heed", "learn", "left_library_in"]

_SETUPTOOLS = "setuptools<81"
"""The last that has pkg_resources."""
_GONE: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), 12),
        **dict.fromkeys(("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap"), 13),
        **dict.fromkeys(("nntplib", "pipes", "pyaudioop", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"), 13),
        **dict.fromkeys(("parser", "symbol", "formatter"), 10),
        "binhex": 11,
    }
)
"""Modules that left the standard library, and the minor version of Python 3 without them (docs.python.org, whatsnew).
pyaudioop is what packages try after audioop."""
_LOST = (
    (re.compile(r"cannot import name '\w+' from 'collections'|module 'collections' has no attribute"), 10),
    (re.compile(r"cannot import name 'gcd' from 'fractions'|module 'fractions' has no attribute 'gcd'"), 9),
    (
        re.compile(r"module 'inspect' has no attribute '(?:get|format)argspec'|name 'getargspec' from 'inspect'"),
        11,
    ),
    (re.compile(r"module 'pkgutil' has no attribute 'ImpImporter'"), 12),
    (re.compile(r"module 'asyncio' has no attribute 'coroutine'"), 11),
)


@dataclass(frozen=True, slots=True)
class Failed:
    """An import that failed in the image."""

    source: str
    """`FILE:LINE` in the project."""
    module: str
    """As imported there."""
    text: str
    """Of the exception."""
    missing: str = ""
    """The module that was not found."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be done otherwise."""

    below: str = ""
    """The minor version of Python that must not be reached; "" for any."""
    packages: tuple[str, ...] = ()
    """Requirements to add."""
    because: str = ""
    """A clause without full stop."""
    source: str = ""
    """Where the import stands."""

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return {"below": self.below, "packages": self.packages, "because": self.because, "source": self.source}

    @classmethod
    def from_json(cls, fact: object) -> Lesson:
        """What `to_json` gave; nothing for anything else."""
        if not isinstance(fact, dict):
            return cls()
        return cls(
            str(fact.get("below", "")),
            tuple(str(name) for name in packages) if isinstance(packages := fact.get("packages"), list | tuple) else (),
            str(fact.get("because", "")),
            str(fact.get("source", "")),
        )


def left_library_in(module: str) -> int | None:
    """The minor version of Python 3 whose standard library no longer has a module; None where none is known."""
    return _GONE.get(module.partition(".")[0])


def learn(failures: Iterable[Failed], known: Lesson) -> Lesson | None:
    """What follows from failures beyond what is `known`; None: nothing that is certain."""
    for failed in failures:
        if "pkg_resources" in (failed.missing, failed.text) or re.search(r"\bpkg_resources\b", failed.text):
            if _SETUPTOOLS not in known.packages:
                because = f"{failed.module} imports pkg_resources, which setuptools had until version 80"
                return replace(known, packages=(*known.packages, _SETUPTOOLS), because=because, source=failed.source)
            continue
        minor = _GONE.get(failed.missing.partition(".")[0]) or _lost(failed.text)
        if minor is not None and (not known.below or _minor(known.below) > minor):
            what = f"imports {failed.missing}" if failed.missing else f"needs what Python 3.{minor} no longer has"
            gone = f", which Python 3.{minor} no longer has" if failed.missing else ""
            return replace(known, below=f"3.{minor}", because=f"{failed.module} {what}{gone}", source=failed.source)
    return None


def heed(
    project: Project, candidates: Sequence[PythonCandidate], lesson: Lesson
) -> tuple[Project, list[PythonCandidate]]:
    """The project and the Pythons to try, as a lesson changes them; a Python that is the only one stays."""
    if lesson.below:
        older = [one for one in candidates if _minor(one.suite.python) < _minor(lesson.below)]
        candidates = [replace(one, because=lesson.because) for one in older] or list(candidates)
    declared = project.requirements
    if declared is None or declared.as_it_stands:
        return project, list(candidates)
    asked = {one.name for one in declared.requirements}
    added = [
        DeclaredRequirement(text, lesson.source, name)
        for text in lesson.packages
        if (name := re.split(r"[<>=!~ ]", text)[0]) not in asked
    ]
    changes = [Correction("added", "", one.line, lesson.because, lesson.source) for one in added]
    learned = replace(declared, learned=tuple(added), changes=(*declared.changes, *changes))
    return replace(project, requirements=learned), list(candidates)


def _lost(text: str) -> int | None:
    return next((minor for pattern, minor in _LOST if pattern.search(text)), None)


def _minor(python: str) -> int:
    return int(python.partition(".")[2])
