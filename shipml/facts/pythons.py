"""The Pythons that a base can bring: Debian's suites, and images of a registry. Facts that do not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from shipml.facts.plan import ImageBasePin

__all__ = ["HUB_PYTHONS", "SUITES", "ImagePython", "PythonBase", "Suite", "suite_named"]


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite."""

    name: str
    """Code name."""
    python: str
    """Minor version of its python3."""
    release: str
    """The least release of that Python in the suite, as "3.11.2": what packages see that rule out single releases."""
    glibc: str
    """Version of its C library: the newest manylinux tag that runs on it."""
    stable: bool
    """Released; others are only taken when asked for, or when nothing else fits."""
    security: bool
    """Whether debian-security carries it."""


@dataclass(frozen=True, slots=True)
class ImagePython:
    """The Python of an image of a registry: what a resolution has to know of it."""

    name: str
    """The image's reference as typed: "python:3.12-slim"."""
    python: str
    """Minor version."""
    release: str
    """Full version, or the least that the image can have where nobody has asked for it yet."""
    glibc: str
    """Version of its C library, or the least that it can have."""

    @classmethod
    def of(cls, base: ImageBasePin) -> ImagePython:
        """The Python of a pinned image."""
        return cls(base.reference, base.python.rpartition(".")[0], base.python, base.glibc)


PythonBase: TypeAlias = Suite | ImagePython
"""What wheels must run on; both kinds have `name`, `python`, `release` and `glibc`."""

SUITES = (
    Suite("trixie", python="3.13", release="3.13.5", glibc="2.41", stable=True, security=True),
    Suite("bookworm", python="3.11", release="3.11.2", glibc="2.36", stable=True, security=True),
    Suite("bullseye", python="3.9", release="3.9.2", glibc="2.31", stable=True, security=True),
    Suite("forky", python="3.14", release="3.14.0", glibc="2.43", stable=False, security=False),
)
"""In the order in which they are tried."""

HUB_PYTHONS = (
    ImagePython("python:3.12-slim", python="3.12", release="3.12.8", glibc="2.36"),
    ImagePython("python:3.10-slim", python="3.10", release="3.10.16", glibc="2.36"),
    ImagePython("python:3.8-slim", python="3.8", release="3.8.20", glibc="2.36"),
)
"""Pythons that no suite has, as Docker Hub has them: tried after all suites, the newest first."""


def suite_named(name: str) -> Suite | None:
    """The suite with that code name."""
    return next((suite for suite in SUITES if suite.name == name), None)
