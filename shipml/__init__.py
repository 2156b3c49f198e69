"""An ML project folder → a small, tested image in a registry: shipml's functions as a library.

All public names are here; everything below this package may change. They are imported when they are first used, so
that a command pays for what it needs alone. See docs/python.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipml.api import Shipml
    from shipml.docker_engine.ports import PublishedPort
    from shipml.errors import (
        BuildError,
        CancelledError,
        ConfigurationError,
        ImportCheckError,
        NotAllowedError,
        PlanError,
        ResolutionError,
        SecretError,
        ShipmlError,
        SmokeTestError,
        StoreError,
        TryAgainError,
        UnavailableError,
        UntrustedInputError,
        UsageError,
    )
    from shipml.events import Emit, Event, Notice, OutputReceived, StepFinished, StepProgressed, StepStarted
    from shipml.facts.plan import Decision, Plan, SmokeCheck
    from shipml.facts.request import DockerOptions, PlanRequest
    from shipml.inspection import ImageDescription, ImageSummary
    from shipml.library import Removal
    from shipml.oci.digest import Digest
    from shipml.oci.image import Image
    from shipml.oci.reference import Reference
    from shipml.outcome import Outcome
    from shipml.publish.destination import Destination
    from shipml.publish.locations import Location
    from shipml.publish.login import LoggedIn, LoggedOut
    from shipml.publish.promotion import Promoted
    from shipml.publish.pushed import Pushed
    from shipml.registry.credentials import Credentials
    from shipml.report import BuildReport, LayerReport
    from shipml.runtimes.base import SmokeResult
    from shipml.store import PruneReport, StoreInfo

__all__ = [
    "BuildError",
    "BuildReport",
    "CancelledError",
    "ConfigurationError",
    "Credentials",
    "Decision",
    "Destination",
    "Digest",
    "DockerOptions",
    "Emit",
    "Event",
    "Image",
    "ImageDescription",
    "ImageSummary",
    "ImportCheckError",
    "LayerReport",
    "Location",
    "LoggedIn",
    "LoggedOut",
    "NotAllowedError",
    "Notice",
    "Outcome",
    "OutputReceived",
    "Plan",
    "PlanError",
    "PlanRequest",
    "Promoted",
    "PruneReport",
    "PublishedPort",
    "Pushed",
    "Reference",
    "Removal",
    "ResolutionError",
    "SecretError",
    "Shipml",
    "ShipmlError",
    "SmokeCheck",
    "SmokeResult",
    "SmokeTestError",
    "StepFinished",
    "StepProgressed",
    "StepStarted",
    "StoreError",
    "StoreInfo",
    "TryAgainError",
    "UnavailableError",
    "UntrustedInputError",
    "UsageError",
]

_HOMES = {
    "docker_engine.ports": ("PublishedPort",),
    "events": ("Emit", "Event", "Notice", "OutputReceived", "StepFinished", "StepProgressed", "StepStarted"),
    "facts.plan": ("Decision", "Plan", "SmokeCheck"),
    "facts.request": ("DockerOptions", "PlanRequest"),
    "library": ("Removal",),
    "oci.digest": ("Digest",),
    "oci.image": ("Image",),
    "oci.reference": ("Reference",),
    "api": ("Shipml",),
    "publish.destination": ("Destination",),
    "publish.locations": ("Location",),
    "publish.login": ("LoggedIn", "LoggedOut"),
    "publish.promotion": ("Promoted",),
    "publish.pushed": ("Pushed",),
    "outcome": ("Outcome",),
    "inspection": ("ImageDescription", "ImageSummary"),
    "registry.credentials": ("Credentials",),
    "report": ("BuildReport", "LayerReport"),
    "runtimes.base": ("SmokeResult",),
    "store": ("PruneReport", "StoreInfo"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
