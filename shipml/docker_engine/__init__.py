"""The user's Docker Engine, through the Docker SDK for Python; `sdk` alone imports it."""

from __future__ import annotations

from shipml.docker_engine.connect import NoEngineError, connect, find, is_there
from shipml.docker_engine.endpoint import Endpoint
from shipml.docker_engine.engine import Engine, EngineImage
from shipml.docker_engine.loading import manifests_in

__all__ = ["Endpoint", "Engine", "EngineImage", "NoEngineError", "connect", "find", "is_there", "manifests_in"]
