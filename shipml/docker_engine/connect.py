"""Finds the user's Docker Engine, as the docker client would, and never takes long to find out that there is none."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.docker_engine.endpoint import Endpoint, endpoints
from shipml.docker_engine.engine import Engine
from shipml.docker_engine.explain import unreachable
from shipml.docker_engine.ssh_tunnel import SshTunnel
from shipml.errors import (
    ConfigurationError,
    NotAllowedError,
    ShipmlError,
    UnavailableError,
)
from shipml.events import Emit, Notice, ignore

__all__ = ["NoEngineError", "connect", "find", "is_there"]


class NoEngineError(UnavailableError):
    """Nothing here looks like a Docker Engine: no socket, no DOCKER_HOST, no docker context."""


def connect(
    *, timeout_seconds: float = 2.0, environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> Engine:
    """The engine that the docker client would talk to; else the first of the usual sockets that answers.

    Args:
        timeout_seconds: for everything together.
        environment: where DOCKER_HOST, DOCKER_CONTEXT and the like are looked up.
        home: the user's home folder.

    Raises:
        NoEngineError: there is none.
        UnavailableError: it is not running, does not answer in time, or speaks another version of the API.
        NotAllowedError: this user has no right on the socket.
        ConfigurationError: DOCKER_HOST or the docker context are wrong.
    """
    candidates = endpoints(environment, home)
    if not candidates:
        raise NoEngineError(
            "no Docker Engine was found on this machine",
            hint="install or start Docker",
        )
    deadline = time.monotonic() + timeout_seconds
    attempts = [_Attempt(candidate, timeout_seconds) for candidate in candidates]
    failures: list[ShipmlError] = []
    for attempt in attempts:
        try:
            return attempt.result(deadline)
        except ShipmlError as error:
            failures.append(error)
    raise next((failure for failure in failures if isinstance(failure, NotAllowedError)), failures[0])


def find(*, timeout_seconds: float = 2.0, emit: Emit = ignore) -> Engine | None:
    """As `connect`, for those who can work without an engine: None where there is none.

    An engine that the user named, or has no right to use, is worth a notice.
    """
    try:
        return connect(timeout_seconds=timeout_seconds)
    except NoEngineError:
        return None
    except (UnavailableError, NotAllowedError, ConfigurationError) as error:
        emit(Notice(f"working without Docker Engine: {error.message}; {error.hint}", "warning"))
        return None


def is_there(emit: Emit = ignore) -> bool:
    """Whether an engine works here; one that the user named and that does not is worth a notice."""
    engine = find(emit=emit)
    if engine is not None:
        engine.close()
    return engine is not None


@dataclass(slots=True)
class _Answer:
    engine: Engine | None = None
    failure: ShipmlError | None = None


class _Attempt:
    """One address, tried in a thread of its own: neither DNS nor ssh can be given a time limit."""

    def __init__(self, endpoint: Endpoint, timeout_seconds: float) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._answer = _Answer()
        self._thread = threading.Thread(target=self._run, name="docker-connect", daemon=True)
        self._thread.start()

    def result(self, deadline: float) -> Engine:
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._answer.engine is not None:
            return self._answer.engine
        raise self._answer.failure or unreachable(self._endpoint, "timed out", self._timeout_seconds)

    def _run(self) -> None:
        try:
            self._answer.engine = _open(self._endpoint, self._timeout_seconds)
        except ShipmlError as error:
            self._answer.failure = error


def _open(endpoint: Endpoint, timeout_seconds: float) -> Engine:
    try:
        _try_socket(endpoint)
    except OSError as error:  # found out without the SDK, whose import takes longer
        raise unreachable(endpoint, str(error), timeout_seconds) from error
    from shipml.docker_engine import sdk

    tunnel = SshTunnel(endpoint.url, timeout_seconds) if endpoint.url.startswith("ssh://") else None
    url = tunnel.url if tunnel else endpoint.url
    try:
        api = sdk.open_api(url, endpoint.tls, sdk.OLDEST_API, timeout_seconds)
        try:
            described: dict[str, Any] = api.version(api_version=False)
        finally:
            api.close()
    except sdk.sdk_errors() as error:
        reason = (tunnel.complaint if tunnel else "") or sdk.failure_text(error)
        if tunnel:
            tunnel.close()
        raise unreachable(endpoint, reason, timeout_seconds) from error
    version = _api_version(endpoint, described)
    return Engine(sdk.Sdk(endpoint, url, version), described, tunnel)


def _try_socket(endpoint: Endpoint) -> None:
    """Raise OSError where nobody listens: the SDK would leave an open socket behind."""
    if endpoint.socket:
        with socket.socket(socket.AF_UNIX) as trial:
            trial.connect(str(endpoint.socket))


def _api_version(endpoint: Endpoint, described: object) -> str:
    """The newest version of the API that both sides know."""
    from shipml.docker_engine import sdk

    if not isinstance(described, dict):
        described = {}
    newest, oldest = str(described.get("ApiVersion", "")), str(described.get("MinAPIVersion") or "1.12")
    name = f"the Docker Engine {described.get('Version', '')} at {endpoint}"
    if not _number(newest):
        raise UnavailableError(f"what answers at {endpoint} is not a Docker Engine", hint="look at DOCKER_HOST")
    if _number(newest) < _number(sdk.OLDEST_API):
        raise UnavailableError(
            f"{name} is too old: it speaks API {newest}, shipml needs {sdk.OLDEST_API}",
            hint="upgrade Docker to 20.10 or newer",
        )
    if _number(oldest) > _number(sdk.NEWEST_API):
        raise UnavailableError(
            f"{name} is too new: it speaks API {oldest} and newer, this shipml {sdk.NEWEST_API} at most",
            hint="upgrade shipml: uv tool upgrade shipml",
        )
    return min(newest, sdk.NEWEST_API, key=_number)


def _number(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
