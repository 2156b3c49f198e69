"""Where the sandbox's programs listen: the kernel's own table (proc_pid_net(5)), read from within."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["listening"]

_LISTEN = "0A"  # include/net/tcp_states.h


def listening(*, own_network: bool) -> list[tuple[str, int]]:
    """Addresses and ports of all TCP sockets that listen; without a network of their own those of its processes."""
    own = None if own_network else _sockets_of_processes()
    found = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{name}", encoding="utf-8") as table:
            next(table, "")
            for line in table:
                fields = line.split()
                if len(fields) > 9 and fields[3] == _LISTEN and (own is None or fields[9] in own):  # noqa: PLR2004
                    address, _, port = fields[1].partition(":")
                    found.add((_address(address), int(port, 16)))
    return sorted(found)


def _address(text: str) -> str:
    """`0100007F` is 127.0.0.1: words of four bytes, each in the order of this machine."""
    raw = b"".join(int(text[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)  # noqa: PLR2004


def _sockets_of_processes() -> set[str]:
    """The inodes of all sockets that a process of this sandbox has open, init's own aside."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        if process != "1":
            with contextlib.suppress(OSError):
                for descriptor in os.listdir(f"/proc/{process}/fd"):
                    with contextlib.suppress(OSError):
                        target = os.readlink(f"/proc/{process}/fd/{descriptor}")
                        if target.startswith("socket:["):
                            found.add(target[8:-1])
    return found
