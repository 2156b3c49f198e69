"""What shipml and the process inside tell each other, one JSON object a packet (Unix sockets, SOCK_SEQPACKET).

On the control socket, from inside: `{"started": pid}`, where the program cannot be executed `{"cause": text}`, then
`{"exit_code": n, "out_of_memory": b, "too_many": b}`; or `{"failed": step, "errno": n, "reason": text}` where the
sandbox could not be made. To the inside: `{"signal": n}` for the program; closing the socket ends everything. On the
probe socket: `socket` and `socket6` ask for a TCP socket of the sandbox's network, which comes back as a file
descriptor; `listening` asks for `[[address, port], …]` of those that listen there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["DEFAULT_PATH", "PACKET_BYTES", "Spec", "decode", "encode"]

PACKET_BYTES = 1 << 16
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for when the image does not say: Docker's."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run, where, and as which user."""

    layers: tuple[str, ...] = ()
    """Absolute paths of the unpacked layers, topmost first; none only probes whether sandboxes work here."""
    mount_point: str = "/tmp"  # noqa: S108  (any existing folder: what is mounted there, only the sandbox sees)
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    user_id: int = 0
    group_id: int = 0
    groups: tuple[int, ...] = ()
    uid_map: tuple[tuple[int, int, int], ...] = ()
    """Rows of /proc/PID/uid_map: first ID inside, first outside, how many."""
    gid_map: tuple[tuple[int, int, int], ...] = ()
    mapper: str = "self"
    """Who writes the maps: "self" (own ID only), "root" (a privileged process) or "helpers" (newuidmap, newgidmap)."""
    network: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    """Written into the root file system before the start: path below / → content."""
    shared_memory_bytes: int = 64 << 20
    """Size of /dev/shm: Docker's and Kubernetes' default."""
    processes: int = 4096
    """How many processes and threads the program may have at once."""
    scratch_bytes: int | None = None
    """What may be written to the root file system, which is in memory; None: half of the machine's memory."""
    memory_bytes: int | None = None
    """Where shipml itself must watch how much is used: the limit."""
    file_bytes: int | None = None
    """The most that the program may write into one file; None: no limit. 0 leaves it pipes only."""
    cgroup: str = ""
    """Folder of the memory cgroup that the program joins; removed at the end if shipml is no longer there to do it."""

    def to_json(self) -> bytes:
        """For the standard input of the process inside."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Spec:
        """Read what `to_json` wrote."""
        document = json.loads(data)
        for name in ("layers", "command", "groups"):
            document[name] = tuple(document[name])
        for name in ("uid_map", "gid_map"):
            document[name] = tuple(tuple(row) for row in document[name])
        return cls(**document)


def encode(message: Mapping[str, object]) -> bytes:
    """A packet."""
    return json.dumps(message).encode()


def decode(packet: bytes) -> dict[str, Any]:
    """What a packet says."""
    message: dict[str, Any] = json.loads(packet)
    return message
