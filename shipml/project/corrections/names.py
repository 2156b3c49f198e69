"""Names that do not mean the distribution of that name, or no distribution at all."""

from __future__ import annotations

import difflib
import fnmatch
import sys
from collections.abc import Collection
from functools import cache

from packaging.version import InvalidVersion, Version

from shipml.facts.requirements import Correction
from shipml.project.corrections.item import Item
from shipml.project.data import module_names, normalised, requirement_names

__all__ = ["correct_name", "nearest_name", "standard_library", "without_local"]

_ONCE = (
    "asynchat asyncore cgi cgitb distutils imp imghdr msilib nntplib parser pipes smtpd sndhdr symbol telnetlib xdrlib"
)
_SINCE = "dataclasses contextvars tomllib zoneinfo"
_OLD = frozenset({"enum34", "futures", "subprocess32", "functools32"})
_OPENCV = "opencv-python-headless"
_OPENCV_NUMBERS = 4


@cache
def standard_library() -> frozenset[str]:
    """Top-level modules of any Python 3, as they are written."""
    return frozenset(sys.stdlib_module_names).union(_ONCE.split(), _SINCE.split())


@cache
def _standard_names() -> frozenset[str]:
    return frozenset(module.lower() for module in standard_library())


def correct_name(item: Item, imported: Collection[str]) -> tuple[Item | None, Correction | None]:
    """The item under the name that is meant (None: none is), and what was changed.

    Args:
        item: a requirement.
        imported: top-level modules that the code imports.
    """
    if item.requirement is None or item.requirement.url:
        return item, None
    because = _reason_to_drop(item, imported)
    if because:
        return None, Correction("dropped", item.text, "", because, item.source)
    corrected, because = _renamed(item)
    if corrected is not item:
        return corrected, Correction("name", item.text, corrected.text, because, item.source)
    return item, None


def _reason_to_drop(item: Item, imported: Collection[str]) -> str:
    name, table = item.name, requirement_names()
    if name in table.dropped and name not in imported:
        return table.dropped[name]
    if system := table.platform_of(name):
        return f"it is for {system} alone"
    if name in _OLD:
        return "it brings to Python 2 what Python 3 has"
    if name.replace("-", "_") in _standard_names() and not (name in table.living and item.pin):
        return "it is a part of Python itself"
    return ""


def _renamed(item: Item) -> tuple[Item, str]:
    requirement, table = item.requirement, requirement_names()
    if requirement is None:
        return item, ""
    if item.name in table.renamed:
        name, because, *impostor = table.renamed[item.name]
        specifier = str(requirement.specifier)
        pin = item.pin
        if pin and any(fnmatch.fnmatchcase(pin, pattern) for pattern in impostor):
            specifier = ""
        elif name == _OPENCV and pin and pin.count(".") < _OPENCV_NUMBERS - 1:
            specifier = f"=={pin}.*"
        return item.renamed(name, specifier), because
    root, dot, _ = requirement.name.partition(".")
    if dot and item.name not in module_names().known and (found := module_names().distributions(root)):
        return item.renamed(found[0], str(requirement.specifier)), f"it is a module of {found[0]}"
    return item, ""


def nearest_name(name: str) -> str:
    """The known distribution whose name looks most like `name`; "" where none does."""
    wanted = normalised(name)
    known = module_names().known
    if wanted in known:
        return ""
    found = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=0.8)
    return found[0] if found else ""


def without_local(item: Item, because: str) -> tuple[Item, Correction]:
    """The item without the local segment of its pin: `torch==1.9.0+cpu` → `torch==1.9.0`."""
    public = item.pin
    try:
        public = Version(item.pin).public
    except InvalidVersion:
        public = item.pin.partition("+")[0]
    requirement = item.requirement
    corrected = item.renamed(requirement.name if requirement is not None else item.name, f"=={public}")
    return corrected, Correction("version", item.text, corrected.text, because, item.source)
