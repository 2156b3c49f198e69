"""The network of a sandbox as seen from outside: who listens there, and sockets that were made inside it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Listener", "SandboxNetwork", "nearest"]

_PACKET_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A TCP socket that waits for connections."""

    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether nothing outside the container reaches it."""
        address = ipaddress.ip_address(self.address)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    @property
    def reached_at(self) -> tuple[str, int]:
        """Address and port to connect to from inside."""
        is_loopback_6 = self.address == "::1"
        return ("::1" if is_loopback_6 else "127.0.0.1"), self.port

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def nearest(listeners: Sequence[Listener], port: int) -> Listener | None:
    """The one that is meant by `port`: that port, else any that others reach, else any; None where nobody listens."""
    return min(listeners, key=lambda one: (one.port != port, one.is_loopback, one), default=None)


class SandboxNetwork:
    """Asks the process inside over the probe socket of `inside.protocol`; safe to share between threads."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def listeners(self) -> tuple[Listener, ...]:
        """Who listens, sorted.

        Raises:
            ConnectionError: the sandbox has ended.
        """
        answer, _ = self._request(b"listening")
        return tuple(sorted(Listener(str(address), int(port)) for address, port in json.loads(answer)))

    def socket(self, address: str) -> socket.socket:
        """A TCP socket of the sandbox's network, for connections to `address`.

        Raises:
            ConnectionError: the sandbox has ended.
        """
        _, descriptors = self._request(b"socket6" if ":" in address else b"socket")
        if not descriptors:
            raise ConnectionError("the sandbox has ended")
        return socket.socket(fileno=descriptors[0])

    def close(self) -> None:
        """Let go of whoever waits for an answer."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def _request(self, question: bytes) -> tuple[bytes, Sequence[int]]:
        with self._lock:
            try:
                self._channel.send(question)
                packet, descriptors, _, _ = socket.recv_fds(self._channel, _PACKET_BYTES, 1)
            except OSError as error:
                raise ConnectionError("the sandbox has ended") from error
        if not packet:
            raise ConnectionError("the sandbox has ended")
        return packet, descriptors
