"""What a failed import check teaches about a project, so that the next attempt goes well. Pure.

Two causes are certain from the words of the failure alone: the standard library of that Python lacks what a package
imports, and a package imports pkg_resources without asking for setuptools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from shipml.facts.project import Project
from shipml.facts.requirements import Correction, DeclaredRequirement, Learned
from shipml.failed_imports import FailedImport
from shipml.plan.python_version import PythonCandidate

__all__ = ["Lesson", "heed", "learn", "left_library_in"]

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
_SUCCESSORS: Mapping[str, str] = MappingProxyType(
    {
        "distutils": "setuptools",
        "cgi": "legacy-cgi",
        "cgitb": "legacy-cgi",
        "audioop": "audioop-lts",
        "pyaudioop": "audioop-lts",
        "asyncore": "pyasyncore",
        "asynchat": "pyasynchat",
        **{name: f"standard-{name}" for name in ("aifc", "chunk", "imghdr", "mailcap", "nntplib", "pipes")},
        **{name: f"standard-{name}" for name in ("sndhdr", "sunau", "telnetlib", "uu", "xdrlib")},
    }
)
"""Where modules of the standard library live on, for a project whose Python is fixed."""
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
class Lesson:
    """What is to be done otherwise."""

    below: str = ""
    """The minor version of Python that must not be reached; "" for any."""
    because: str = ""
    """Why: a clause without full stop."""
    source: str = ""
    """Where the import stands that needs an older Python."""
    packages: tuple[Learned, ...] = ()
    """Requirements to add."""
    bounds: tuple[Learned, ...] = ()
    """Packages that are too new for others, with their upper ends."""
    is_of_its_commit: bool = False
    """Whether packages are taken as of the project's last commit."""
    rounds: int = 0
    """How often packages were blamed: three times at most."""

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return {
            "below": self.below,
            "because": self.because,
            "source": self.source,
            "packages": [[one.line, one.because, one.source] for one in self.packages],
            "bounds": [[one.line, one.because, one.source] for one in self.bounds],
            "is_of_its_commit": self.is_of_its_commit,
            "rounds": self.rounds,
        }

    @classmethod
    def from_json(cls, fact: object) -> Lesson:
        """What `to_json` gave; nothing for anything else."""
        try:
            kept = dict(fact)  # type: ignore[call-overload]
            packages = tuple(Learned(*map(str, one)) for one in kept.pop("packages"))
            bounds = tuple(Learned(*map(str, one)) for one in kept.pop("bounds"))
            return cls(**kept, packages=packages, bounds=bounds)
        except (TypeError, ValueError, KeyError):
            return cls()

    def news(self, known: Lesson) -> Iterator[tuple[str, str]]:
        """(where, what) of all that `known` does not say."""
        if self.below != known.below:
            yield self.source, self.because
        if self.is_of_its_commit and not known.is_of_its_commit:
            yield "the last commit", "its code fails with packages of another day, so they are taken as of that commit"
        for one in (*self.packages, *self.bounds):
            if one not in (*known.packages, *known.bounds):
                yield one.source, one.because


def left_library_in(module: str) -> int | None:
    """The minor version of Python 3 whose standard library no longer has a module; None where none is known."""
    return _GONE.get(module.partition(".")[0])


def learn(failures: Iterable[FailedImport], known: Lesson, *, is_open: bool = True) -> Lesson | None:
    """What follows from failures beyond what is `known`; None: nothing that is certain.

    Args:
        failures: of one image.
        known: what earlier failures taught.
        is_open: whether another Python may be taken.
    """
    for failed in failures:
        if "pkg_resources" in (failed.missing, failed.text) or re.search(r"\bpkg_resources\b", failed.text):
            because = f"{failed.module} imports pkg_resources, which setuptools had until version 80"
            if (lesson := _with_package(_SETUPTOOLS, because, failed, known)) is not None:
                return lesson
            continue
        minor = left_library_in(failed.missing) or _lost(failed.text)
        if minor is None:
            continue
        if is_open and (not known.below or _minor(known.below) > minor):
            what = f"imports {failed.missing}" if failed.missing else f"needs what Python 3.{minor} no longer has"
            gone = f", which Python 3.{minor} no longer has" if failed.missing else ""
            return replace(known, below=f"3.{minor}", because=f"{failed.module} {what}{gone}", source=failed.source)
        if package := _SUCCESSORS.get(failed.missing.partition(".")[0]):
            because = (
                f"{failed.module} imports {failed.missing}, which Python 3.{minor} no longer has and {package} has"
            )
            if (lesson := _with_package(package, because, failed, known)) is not None:
                return lesson
    return None


def _with_package(line: str, because: str, failed: FailedImport, known: Lesson) -> Lesson | None:
    """`known` with one more package; None where it is known."""
    if any(one.line == line for one in known.packages):
        return None
    return replace(known, packages=(*known.packages, Learned(line, because, failed.source)))


def heed(
    project: Project, candidates: Sequence[PythonCandidate], lesson: Lesson
) -> tuple[Project, list[PythonCandidate]]:
    """The project and the Pythons to try, as a lesson changes them; a Python that is the only one stays."""
    if lesson.below:
        older = [one for one in candidates if _minor(one.suite.python) < _minor(lesson.below)]
        candidates = [replace(one, because=lesson.because) for one in older] or list(candidates)
    declared = project.requirements
    if declared is None:
        return project, list(candidates)
    asked = {one.name for one in declared.requirements}
    added = [] if declared.as_it_stands else [one for one in lesson.packages if one.name not in asked]
    changes = [Correction("added", "", one.line, one.because, one.source) for one in added]
    learned = replace(
        declared,
        learned=tuple(DeclaredRequirement(one.line, one.source, one.name) for one in added),
        learned_bounds=lesson.bounds,
        is_of_its_commit=lesson.is_of_its_commit,
        changes=(*declared.changes, *changes),
    )
    return replace(project, requirements=learned), list(candidates)


def _lost(text: str) -> int | None:
    return next((minor for pattern, minor in _LOST if pattern.search(text)), None)


def _minor(python: str) -> int:
    return int(python.partition(".")[2])
