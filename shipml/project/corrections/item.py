"""A requirement between its line and its value."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from shipml.facts.requirements import DeclaredRequirement
from shipml.project.data import normalised

__all__ = ["Item"]


@dataclass(frozen=True, slots=True)
class Item:
    """One requirement that is understood."""

    text: str
    """As PEP 508 writes it, or a URL or path; without hashes."""
    source: str
    """`FILE:LINE`."""
    requirement: Requirement | None
    """None for a URL or path without a name."""
    hashes: tuple[str, ...] = ()
    """Each as `--hash=sha256:…`."""
    local: str = ""
    """The local version segment that was asked for."""

    @property
    def name(self) -> str:
        """Normalised; "" where only a URL or path is given."""
        return normalised(self.requirement.name) if self.requirement is not None else ""

    @property
    def pin(self) -> str:
        """The one version that is allowed; "" where there is none."""
        specifiers = list(self.requirement.specifier) if self.requirement is not None else []
        exact = [one.version for one in specifiers if one.operator in ("==", "===") and not one.version.endswith(".*")]
        return exact[0] if exact else ""

    def renamed(self, name: str, specifier: str | None = None) -> Item:
        """The same under another name, with another specifier unless it is None; hashes no longer fit."""
        if self.requirement is None:
            return self
        extras = f"[{','.join(sorted(self.requirement.extras))}]" if self.requirement.extras else ""
        versions = str(self.requirement.specifier) if specifier is None else specifier
        marker = f" ; {self.requirement.marker}" if self.requirement.marker is not None else ""
        text = f"{name}{extras}{versions}{marker}"
        return replace(self, text=text, requirement=Requirement(text), hashes=())

    def declared(self) -> DeclaredRequirement:
        """As the plan keeps it."""
        line = " ".join((self.text, *self.hashes))
        return DeclaredRequirement(line, self.source, self.name, self.pin, self.local or local_segment(self.pin))


def local_segment(version: str) -> str:
    """`cu111` of `1.9.0+cu111`."""
    try:
        return Version(version).local or ""
    except InvalidVersion:
        return ""
