"""Which users exist in a sandbox: how its IDs map to the machine's (user_namespaces(7))."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Identity", "identity_for"]

Row = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Identity:
    """Rows of uid_map and gid_map, and who may write them (`inside.protocol.Spec.mapper`)."""

    uid_map: tuple[Row, ...]
    gid_map: tuple[Row, ...]
    mapper: Literal["self", "root", "helpers"]


def identity_for(user_id: int, group_id: int) -> Identity:
    """How this process can have a sandbox whose program runs as `user_id`:`group_id`.

    As root every ID is itself. Others get root and the IDs that /etc/subuid and /etc/subgid give them (subuid(5)), else
    just that one ID: file permissions then do not tell the program's user from the image's root.
    """
    own_user, own_group = os.geteuid(), os.getegid()
    if own_user == 0:
        return Identity(_same("/proc/self/uid_map"), _same("/proc/self/gid_map"), "root")
    users, groups = _subordinate("/etc/subuid", own_user), _subordinate("/etc/subgid", own_user)
    if users and groups and user_id <= users[1] and group_id <= groups[1] and _have_helpers():
        return Identity(
            ((0, own_user, 1), (1, *users)),
            ((0, own_group, 1), (1, *groups)),
            "helpers",
        )
    return Identity(((user_id, own_user, 1),), ((group_id, own_group, 1),), "self")


def _same(path: str) -> tuple[Row, ...]:
    rows = (line.split() for line in Path(path).read_text().splitlines())
    return tuple((int(inside), int(inside), int(count)) for inside, _, count in rows)


def _subordinate(path: str, user_id: int) -> tuple[int, int] | None:
    """First ID and count of the largest range that the file gives to the user."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    names = {str(user_id)}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(user_id).pw_name)
    rows = [line.split(":") for line in lines]
    ranges = [(int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] in names]  # noqa: PLR2004
    return max(ranges, key=lambda found: found[1], default=None)


def _have_helpers() -> bool:
    return bool(shutil.which("newuidmap") and shutil.which("newgidmap"))
