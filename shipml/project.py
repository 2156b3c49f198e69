"""The project folder as facts: the one reader of what a user has (settings, requirements, files, revision).

Nothing is decided here; `plan/` decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shipml.plan.model import ApplicationFile, SmokeCheck

__all__ = ["Project", "RequirementsSource", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """`[tool.shipml]` of pyproject.toml, or shipml.toml with the same keys. None and () mean: not said."""

    name: str | None = None
    python: str | None = None
    base: str | None = None
    command: tuple[str, ...] = ()
    accelerator: str | None = None
    platforms: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    smoke: SmokeCheck = SmokeCheck()
    registries: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    environments: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    source: str = ""
    """The file that they were read from, relative to the project; "" where there is none."""
