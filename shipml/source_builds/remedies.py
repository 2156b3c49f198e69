"""Why a build failed, by its own words (pure): what to add for another attempt, or the one line to show."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shipml.source_builds.remedy import Remedy
from shipml.source_builds.source import distribution_of
from shipml.source_builds.system_remedies import system_remedies

__all__ = ["Remedy", "cause", "remedies"]


_TOO_NEW_SETUPTOOLS = (
    (r"cannot import name '(?P<what>Feature)' from 'setuptools'", "<46"),
    (r"(?P<what>use_2to3) is invalid|(?P<other>use_2to3) is not supported", "<58"),
    (r"No module named '(?P<what>pkg_resources)", "<81"),
    (r"(?P<what>InvalidVersion): Invalid version|(?P<other>InvalidRequirement)", "<66"),
    (r"No module named '(?P<what>setuptools\.command\.test)'|cannot import name '(?P<other>test)'", "<72"),
    (r"No module named '(?P<what>distutils\.msvccompiler)'|(?P<other>numpy\.distutils)", "<60"),
    (r"No module named '(?P<what>setuptools\._distutils\.msvccompiler)'", "<74"),
    (r"module '(?P<what>setuptools\._distutils)'", "<60"),
    (r"(?P<what>setup_requires) is not|unexpected keyword argument '(?P<other>\w+)'", "<58"),
)
_ASKED_FOR = re.compile(r"^(?!.*No module named).*\b(?:required|requires|install)\b.*$", re.MULTILINE | re.IGNORECASE)
_TOOLS_BY_NAME = re.compile(r"\b(numpy|cython|scipy|pybind11|cffi)\b", re.IGNORECASE)
_MODULE = re.compile(r"No module named '?(?P<module>[\w.]+)'?")
_NOISE = re.compile(
    r"error: (?:subprocess-exited|command '[^']*' failed|metadata-generation)|^\s*\^|^make\b.*Error|^During handling"
)
_COMPILER_ERROR = re.compile(r"^[^\s:]+:\d+(?::\d+)?: (?:fatal )?error: .*$", re.MULTILINE)
_PYTHON_ERROR = re.compile(r"^(?:[\w.]+(?:Error|Exception|Exit)|AssertionError)(?::.*)?$", re.MULTILINE)
_PLAIN_ERROR = re.compile(r"^.*\berror: .*$", re.MULTILINE | re.IGNORECASE)
_DISTRIBUTIONS = {"pkg_resources": "setuptools", "Cython": "cython", "skbuild": "scikit-build"}
_OLD_CYTHON = re.compile(r"Cython\.Compiler\.Errors\.CompileError|Error compiling Cython file")
_LONGEST = 300


def remedies(log: str) -> Iterator[Remedy]:
    """What may help against the failure that `log` tells of, the likeliest first."""
    tail = log[-200_000:]
    yield from _of_setuptools(tail)
    yield from _of_modules(tail)
    yield from system_remedies(tail)
    named = {tool.lower() for line in _ASKED_FOR.findall(tail)[-3:] for tool in _TOOLS_BY_NAME.findall(line)}
    if named:
        yield Remedy(f"it says that it needs {' and '.join(sorted(named))}", requirements=tuple(sorted(named)))
    if _OLD_CYTHON.search(tail):
        yield Remedy("its Cython code is of a time before Cython 3", constraints=("cython<3",))


def _of_setuptools(tail: str) -> Iterator[Remedy]:
    for pattern, limit in _TOO_NEW_SETUPTOOLS:
        if match := re.search(pattern, tail):
            what = match.groupdict().get("what") or match.groupdict().get("other") or ""
            yield Remedy(f"its setup.py needs {what} of setuptools{limit}", constraints=(f"setuptools{limit}",))


def _of_modules(tail: str) -> Iterator[Remedy]:
    for module in dict.fromkeys(match["module"] for match in _MODULE.finditer(tail)):
        root = module.partition(".")[0]
        if root == "lib2to3":
            yield Remedy("it needs lib2to3", packages=("python3-lib2to3",))
        elif root == "distutils":
            yield Remedy("it needs distutils, which setuptools brings", requirements=("setuptools",))
        elif root == "numpy" and module.startswith("numpy.distutils"):
            yield Remedy("it needs numpy.distutils", requirements=("numpy<1.26",), constraints=("setuptools<60",))
        elif not root.startswith("_"):
            name = _DISTRIBUTIONS.get(root) or distribution_of(module)
            yield Remedy(f"its build imports {root}", requirements=(name,))


def cause(log: str, ending: str = "") -> str:
    """The one line of a log that says best why the build failed."""
    if ending:
        return ending
    for pattern in (_COMPILER_ERROR, _PYTHON_ERROR, _PLAIN_ERROR):
        found = [line[0].strip() for line in pattern.finditer(log) if not _NOISE.search(line[0])]
        if found:
            # of a compiler the first error is the cause of the others; of Python the last exception is what came out
            return (found[0] if pattern is _COMPILER_ERROR else found[-1])[:_LONGEST]
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else "it said nothing"
