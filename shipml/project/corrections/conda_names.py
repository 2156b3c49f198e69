"""A package of conda in terms of the index: its name there, and whether it is one of Python at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from shipml.project.data import conda_names, module_names, normalised

__all__ = ["IndexName", "index_name", "is_version"]

_SYSTEM_PREFIXES = ("_", "lib", "r-", "xorg-", "font-", "cuda-", "m2w64-")
_NATIVE_BUILD = re.compile(r"h[0-9a-f]{5,}(?:_\d+)?")
"""Of conda-build for what is not Python's: builds for a Python name it, "py38h06a4308_0"."""


@dataclass(frozen=True, slots=True)
class IndexName:
    """What a package of conda comes to."""

    name: str
    """On the index; "" where nothing is to be installed."""
    because: str = ""
    """Why nothing is: a clause."""
    counts_alike: bool = True
    """Whether its version means the same there."""


def index_name(name: str, build: str = "") -> IndexName:
    """What the index calls conda's package `name`.

    Args:
        name: as conda writes it.
        build: conda's build string, "py38h06a4308_0", where an export tells it.
    """
    table = conda_names()
    lower = name.lower()
    if _is_system(lower):
        return IndexName("", f"it is not a Python package: {table.system.get(lower, 'wheels bring their own')}")
    renamed = table.renamed.get(lower, name)
    if not renamed:
        return IndexName("", "the index needs no such package")
    is_known = lower in table.renamed or normalised(name) in module_names().known
    if not is_known and _NATIVE_BUILD.fullmatch(build):
        return IndexName(
            "", "it is not a Python package: conda built it for no Python, and no index is known to have it"
        )
    return IndexName(renamed, counts_alike=lower not in table.recounted)


def _is_system(name: str) -> bool:
    """Whether conda's package `name` is not a Python package: a library, a compiler, a font."""
    table = conda_names()
    if name in table.system:
        return True
    return name.startswith(_SYSTEM_PREFIXES) and name not in table.renamed and name not in module_names().known


def is_version(specifier: str) -> bool:
    """Whether the index can have such a version: conda takes `4.0.0_unsupported`."""
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        return False
    return True
