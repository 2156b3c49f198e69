"""A port of a program, and where this machine reaches it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from shipml.errors import UsageError

__all__ = ["PublishedPort"]

_FORM = re.compile(r"(?:([0-9]{1,5}):)?([0-9]{1,5})")
_HIGHEST = 65535


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A TCP port of a container that 127.0.0.1 of the engine's machine leads to, and no other address."""

    container_port: int
    host_port: int | None = None
    """None for any free one, which the engine chooses."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[HOST_PORT:]CONTAINER_PORT`, as `docker run --publish` takes it.

        Raises:
            UsageError: another form.
        """
        found = _FORM.fullmatch(text)
        ports = [int(port) for port in found.groups() if port] if found else []
        if not ports or not all(1 <= port <= _HIGHEST for port in ports):
            raise UsageError(
                f"{text!r} names no port to publish",
                hint="use --publish 8000 (any free port of 127.0.0.1 leads to it) or --publish 9000:8000 (port 9000"
                " does); ports are TCP, 1 to 65535",
            )
        return cls(ports[-1], ports[0] if len(ports) > 1 else None)
