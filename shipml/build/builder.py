"""What a builder is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shipml.events import Emit
from shipml.facts.plan import Plan
from shipml.oci.image import Image

__all__ = ["BuildContext", "Builder"]


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a builder works with beside the plan."""

    folder: Path
    """The project folder that holds the plan's application files."""
    emit: Emit


class Builder(Protocol):
    """Makes the image that a plan describes."""

    name: str
    """As `--builder` takes it."""

    def check(self, plan: Plan) -> None:
        """Raise UnavailableError or PlanError, before any work, where this builder cannot build this plan here."""

    def build(self, plan: Plan, context: BuildContext) -> Image:
        """The image. Layers may be lazy.

        Raises:
            ShipmlError: as its class says.
        """
