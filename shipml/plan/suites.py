"""The Debian suites that can be a base: facts that do not change within a suite."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SUITES", "Suite", "suite_named"]


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


SUITES = (
    Suite("trixie", python="3.13", release="3.13.5", glibc="2.41", stable=True, security=True),
    Suite("bookworm", python="3.11", release="3.11.2", glibc="2.36", stable=True, security=True),
    Suite("bullseye", python="3.9", release="3.9.2", glibc="2.31", stable=True, security=True),
    Suite("forky", python="3.14", release="3.14.0", glibc="2.43", stable=False, security=False),
)
"""In the order in which they are tried."""


def suite_named(name: str) -> Suite | None:
    """The suite with that code name."""
    return next((suite for suite in SUITES if suite.name == name), None)
