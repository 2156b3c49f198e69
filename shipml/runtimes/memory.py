"""A memory limit on all of a sandbox's processes together, by the kernel's control groups where we may make one.

cgroup v2 (Documentation/admin-guide/cgroup-v2.rst) or v1 (cgroup-v1/memory.rst). Where neither may be written, the
process inside watches the use itself, twenty times a second.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["MemoryGroup", "limit_memory"]

_MOUNT = Path("/sys/fs/cgroup")
_NAME = re.compile(r"shipml-(\d+)-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A control group with a limit."""

    folder: Path
    version: Literal[1, 2]

    def ran_out(self) -> bool:
        """Whether the kernel has killed a process in it. Must be asked while the group exists."""
        return _oom_kills(self.folder / ("memory.events" if self.version == 2 else "memory.oom_control")) > 0  # noqa: PLR2004

    def close(self) -> None:
        """Remove the group, if the process inside has not done so."""
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def limit_memory(limit_bytes: int) -> MemoryGroup | None:
    """A new group for `limit_bytes`, next to or below the one of this process; None where this is not allowed."""
    for version, parent in _parents():
        _sweep(parent)
        folder = parent / f"shipml-{os.getpid()}-{os.urandom(4).hex()}"
        group = MemoryGroup(folder, version)
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            _set_limit(group, limit_bytes)
        except OSError:
            group.close()
            continue
        return group
    return None


def _parents() -> Iterator[tuple[Literal[1, 2], Path]]:
    """Where a group could be made, nearest first."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield 1, _MOUNT / "memory" / own.lstrip("/")
        elif not controllers and (_MOUNT / "cgroup.controllers").exists():
            folder = _MOUNT / own.lstrip("/")
            for parent in (folder, *folder.parents):
                with contextlib.suppress(OSError):
                    if "memory" in (parent / "cgroup.subtree_control").read_text().split():
                        yield 2, parent
                if parent == _MOUNT:
                    break


def _set_limit(group: MemoryGroup, limit_bytes: int) -> None:
    if group.version == 1:
        (group.folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
        without_swap = "memory.memsw.limit_in_bytes", str(limit_bytes)
    else:
        (group.folder / "memory.max").write_text(str(limit_bytes))
        without_swap = "memory.swap.max", "0"
    with contextlib.suppress(OSError):  # kernels without swap accounting lack the file
        (group.folder / without_swap[0]).write_text(without_swap[1])
    with (group.folder / "cgroup.procs").open("wb"):
        pass  # may we enter it?


def _oom_kills(file: Path) -> int:
    for line in file.read_text().splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill":
            return int(number)
    return 0


def _sweep(parent: Path) -> None:
    """Remove groups of processes that were killed together with their launcher."""
    with contextlib.suppress(OSError):
        for folder in parent.iterdir():
            if (match := _NAME.fullmatch(folder.name)) and not Path(f"/proc/{match[1]}").exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
