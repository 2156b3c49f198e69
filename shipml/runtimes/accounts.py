"""Config.User → numbers, as Docker reads it: `user`, `uid`, `user:group`, `uid:gid` against the image's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shipml.errors import ConfigurationError

__all__ = ["Account", "resolve_user"]

_ID_LIMIT = 1 << 32
_ID_DIGITS = 10
_PASSWD_FIELDS = 7
_GROUP_FIELDS = 4


@dataclass(frozen=True, slots=True)
class Account:
    """Who the program runs as."""

    user_id: int
    group_id: int
    groups: tuple[int, ...]
    """Supplementary groups, sorted; without `group_id`."""
    home: str
    """Of /etc/passwd, else "/"."""


def resolve_user(user: str, passwd: str, group: str) -> Account:
    """Look up Config.User (image-spec, config.md) in the texts of the image's /etc/passwd and /etc/group; "" is root.

    Raises:
        ConfigurationError: a name is in neither table, or a number is out of range.
    """
    name, _, group_name = (user or "0").partition(":")
    row = next((row for row in _rows(passwd, _PASSWD_FIELDS) if name in (row[0], row[2])), None)
    if row is None and not name.isdecimal():
        raise ConfigurationError(
            f"the image's user {name!r} is not in its /etc/passwd", hint="set `user` to a number, such as 65532"
        )
    user_id = _number(row[2] if row else name)
    group_id = _group_id(group_name, group) if group_name else _number(row[3]) if row else 0
    groups: set[int] = set()
    if row and not group_name:
        groups = {_number(g[2]) for g in _rows(group, _GROUP_FIELDS) if row[0] in g[3].split(",")}
    return Account(user_id, group_id, tuple(sorted(groups - {group_id})), row[5] if row and row[5] else "/")


def _group_id(name: str, table: str) -> int:
    for row in _rows(table, _GROUP_FIELDS):
        if name in (row[0], row[2]):
            return _number(row[2])
    if not name.isdecimal():
        raise ConfigurationError(
            f"the image's group {name!r} is not in its /etc/group", hint="set `user` to numbers, such as 65532:65532"
        )
    return _number(name)


def _rows(table: str, fields: int) -> Iterator[list[str]]:
    for line in table.splitlines():
        row = line.strip().split(":")
        if len(row) >= fields and row[2].isdecimal() and row[0]:
            yield row


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > _ID_DIGITS or int(text) >= _ID_LIMIT - 1:
        raise ConfigurationError(f"{text[:20]!r} is not a user or group number", hint="use a number such as 65532")
    return int(text)
