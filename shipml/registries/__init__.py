"""Image → registry: credentials, destinations, and what pushes."""

from __future__ import annotations

from shipml.registries.base import Pushed, Pusher, Subject
from shipml.registries.credentials import Credentials, find_credentials
from shipml.registries.destination import Destination
from shipml.registries.gate import require_smoke
from shipml.registries.through_engine import EnginePusher

__all__ = [
    "Credentials",
    "Destination",
    "EnginePusher",
    "Pushed",
    "Pusher",
    "Subject",
    "find_credentials",
    "require_smoke",
]
