"""Imports that failed in an image, as values: what the probe found, and what errors carry."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FailedImport", "Trace"]


@dataclass(frozen=True, slots=True)
class Trace:
    """One exception of those that a failed import ended with."""

    error: str
    """Its class."""
    text: str
    packages: tuple[str, ...] = ()
    """Normalised names of the installed packages whose code it came through, outermost first."""
    named: tuple[str, ...] = ()
    """Those that the exception itself says lack something."""


@dataclass(frozen=True, slots=True)
class FailedImport:
    """An import that failed in the image."""

    source: str
    """`FILE:LINE` in the project."""
    module: str
    """As imported there."""
    text: str
    """Of the exception."""
    missing: str = ""
    """The module that was not found."""
    traces: tuple[Trace, ...] = ()
    """The exception, then those that led to it."""
