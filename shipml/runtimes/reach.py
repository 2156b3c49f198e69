"""How the server of a program that runs confined is reached from this machine."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import Protocol

from shipml.runtimes.program import Program
from shipml.runtimes.sandbox_network import SandboxNetwork, nearest

__all__ = ["InSandbox", "Published", "Reach", "Running"]

_ANSWER_SECONDS = 5.0


class Reach(Protocol):
    """How a program's server is reached."""

    def is_up(self) -> bool:
        """Whether it takes connections by now."""

    def connect(self) -> socket.socket:
        """A connection to it; raises OSError where it does not answer."""

    def only_loopback(self) -> str:
        """Where it listens, if nothing outside of its container would reach it; "" otherwise."""


@dataclass(frozen=True, slots=True)
class InSandbox:
    """By sockets that are made inside the sandbox."""

    network: SandboxNetwork
    port: int
    """Where it is expected."""

    def is_up(self) -> bool:
        """See `Reach`."""
        try:
            return bool(self.network.listeners())
        except OSError:
            return False

    def connect(self) -> socket.socket:
        """See `Reach`."""
        found = nearest(self.network.listeners(), self.port)
        if found is None:
            raise ConnectionRefusedError("the program does not listen")
        address, port = found.reached_at
        made = self.network.socket(address)
        try:
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made

    def only_loopback(self) -> str:
        """See `Reach`."""
        found = self.network.listeners()
        return str(found[0]) if found and all(one.is_loopback for one in found) else ""


@dataclass(frozen=True, slots=True)
class Published:
    """By a port of 127.0.0.1 that an engine publishes, and takes connections at before the program does."""

    port: int

    def is_up(self) -> bool:
        """See `Reach`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def connect(self) -> socket.socket:
        """See `Reach`."""
        return socket.create_connection(("127.0.0.1", self.port), _ANSWER_SECONDS)

    def only_loopback(self) -> str:
        """See `Reach`: it would not have answered."""
        return ""


@dataclass(frozen=True, slots=True)
class Running:
    """A program, and how it is reached."""

    program: Program
    reach: Reach
