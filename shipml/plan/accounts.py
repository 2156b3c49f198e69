"""The user that the image runs as: a number, an account of the base, or one that is made for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shipml.errors import PlanError
from shipml.facts.accounts import PASSWD
from shipml.facts.plan import USER_ID, Base, GeneratedFile, ImageBasePin
from shipml.facts.project import Project

__all__ = ["Account", "choose_account"]

_OF_THE_BASE = {"root": "0", "nobody": "65534", "nonroot": str(USER_ID)}
_FIRST_ID = 1000
"""Of a user that has a name alone: what useradd would give it."""
_HIGHEST_ID = (1 << 32) - 2


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the image runs as, and what that takes."""

    user: str
    """Config.User: a number, or `uid:gid`, or a name that the base has."""
    home: str = ""
    """The home folder to be made; "" where the base has one."""
    files: tuple[GeneratedFile, ...] = ()
    """/etc/passwd with its line, where the base's own is known."""

    @property
    def environment(self) -> dict[str, str]:
        """What tells programs where they may write."""
        return {"HOME": self.home} if self.home else {}


def choose_account(project: Project, base: Base) -> Account:
    """The account that the settings name; that without rights where they name none.

    A followed Dockerfile makes its users itself.

    Raises:
        PlanError: the user is a name that the base does not have, or a number that is none.
    """
    user = project.settings.user
    if user is None:
        return Account(str(USER_ID))
    if project.followed is not None:
        return Account(user)
    name, _, group = user.partition(":")
    known = {*_OF_THE_BASE, *_OF_THE_BASE.values()} - ({"nonroot"} if isinstance(base, ImageBasePin) else set())
    if name in known:
        return Account(user)
    if not name.isdecimal() and isinstance(base, ImageBasePin):
        raise PlanError(
            f"the user {name} of {project.settings.source} may not exist in {base.reference}",
            hint=f'use a number: user = "{_FIRST_ID}"',
        )
    if not name.isdecimal() and group and not group.isdecimal():
        raise PlanError(
            f"the group {group} of {project.settings.source} does not exist in {base.reference}",
            hint=f'use the name alone: user = "{name}"',
        )
    number = int(name) if name.isdecimal() else _FIRST_ID
    if number > _HIGHEST_ID:
        raise PlanError(f"{name} is not a user ID that Linux has", hint=f'use a smaller one: user = "{_FIRST_ID}"')
    login = "app" if name.isdecimal() else name
    home = f"/home/{login}"
    line = f"{login}:x:{number}:{group if group.isdecimal() else 0}::{home}:/sbin/nologin\n"
    files = () if isinstance(base, ImageBasePin) else (GeneratedFile("/etc/passwd", PASSWD + line),)
    return Account(f"{number}:{group}" if group else str(number), home, files)
