"""Tables of names, each entry with its reason: data files beside this one, read when first needed."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = [
    "CondaNames",
    "ModuleNames",
    "RequirementNames",
    "conda_names",
    "module_names",
    "normalised",
    "requirement_names",
]


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class ModuleNames:
    """Which distribution an import comes from."""

    same: frozenset[str]
    """Normalised names of distributions whose module is called like them."""
    different: Mapping[str, tuple[str, ...]]
    """Module (dotted for parts of namespaces) → distributions, the preferred one first; () where no index has it."""
    brings: Mapping[str, frozenset[str]]
    """Distribution → what it surely depends on; all normalised."""
    equal: tuple[frozenset[str], ...] = ()
    """Distributions that have the same modules: one stands for the others; normalised."""

    def distributions(self, name: str, members: tuple[str, ...] = ()) -> tuple[str, ...] | None:
        """Of the module `name`, from which `members` are imported; None: not known, (): no index has any."""
        candidates = [f"{name}.{member}" for member in members]
        parts = name.split(".")
        candidates += [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        for candidate in candidates:
            if candidate in self.different:
                return self.different[candidate]
        root = normalised(parts[0])
        return (root,) if root in self.same else None

    @property
    def known(self) -> frozenset[str]:
        """Normalised names of all distributions in the table."""
        others = {normalised(one) for names in self.different.values() for one in names}
        return self.same | others | self.brings.keys()


@cache
def module_names() -> ModuleNames:
    """The table of modules."""
    table = _table("modules")
    return ModuleNames(
        same=frozenset(normalised(name) for name in table["same"].split()),
        different={module: tuple(names) for module, names in table["modules"].items()},
        brings={
            normalised(name): frozenset(normalised(one) for one in brought) for name, brought in table["brings"].items()
        },
        equal=tuple(frozenset(map(normalised, names.split())) for names in table["equal"]["names"]),
    )


@dataclass(frozen=True, slots=True)
class RequirementNames:
    """What names in requirements files mean that do not mean the distribution of that name."""

    renamed: Mapping[str, tuple[str, ...]]
    """Normalised name → (distribution, reason, pattern of versions that are only the impostor's or nothing)."""
    dropped: Mapping[str, str]
    """Normalised name → reason."""
    platforms: Mapping[str, tuple[str, ...]]
    """Operating system → patterns of normalised names that only it can use."""
    living: frozenset[str]
    """Names of the standard library that are distributions of their own, too."""
    elsewhere: Mapping[str, str]
    """Normalised name that no index has → where its authors publish it, as pip takes it."""

    def platform_of(self, name: str) -> str:
        """The one operating system, not Linux, that the distribution is for; "" where it is for any."""
        for system, patterns in self.platforms.items():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                return system
        return ""


@cache
def requirement_names() -> RequirementNames:
    """The table of names in requirements files."""
    table = _table("names")
    return RequirementNames(
        renamed={normalised(name): tuple(entry) for name, entry in table["renamed"].items()},
        dropped={normalised(name): reason for name, reason in table["dropped"].items()},
        platforms={system: tuple(names.split()) for system, names in table["platform"].items()},
        living=frozenset(table["living"]["names"].split()),
        elsewhere=table["elsewhere"],
    )


@dataclass(frozen=True, slots=True)
class CondaNames:
    """Conda's names in terms of the index's."""

    renamed: Mapping[str, str]
    """Conda's name in lower case → the index's; "" where the index needs none."""
    system: Mapping[str, str]
    """Conda's name of what is not a Python package → why it is left out."""
    recounted: frozenset[str] = frozenset()
    """Conda's names whose versions mean nothing to the index."""


@cache
def conda_names() -> CondaNames:
    """The table of conda's names."""
    table = _table("conda")
    system = {name: reason for reason, names in table["system"].items() for name in names.split()}
    recounted = frozenset(table["recounted"]["names"].split())
    return CondaNames(renamed=table["renamed"], system=system, recounted=recounted)
