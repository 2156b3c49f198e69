"""Users and groups that a RUN makes, with the ids and homes that Debian's programs give them."""

from __future__ import annotations

from collections.abc import Sequence

from shipml.dockerfile.ran import NOGROUP, Ran, RunError
from shipml.facts.dockerfile import DockerfileUser

__all__ = ["add_group", "add_user", "split_options"]

_FIRST_USER_ID = 1000
_USER_VALUES = frozenset(
    {"--uid", "--gid", "--groups", "--shell", "--home", "--home-dir", "--comment", "--gecos", "--ingroup"}
    | {"--base-dir", "--expiredate", "--inactive", "--skel", "--key", "--password", "--firstuid", "--lastuid"}
)


def add_user(words: Sequence[str], ran: Ran, *, is_adduser: bool) -> None:
    """`useradd` of shadow, `adduser` of Debian: ids, group and home as they give them."""
    options, names = split_options(words, "ugGsdcbekKp" if not is_adduser else "ugGsdch", _USER_VALUES)
    if len(names) == 2:  # noqa: PLR2004  (`adduser USER GROUP` adds to a group)
        return
    if len(names) != 1:
        raise RunError("it is not clear which user is made")
    name = names[0]
    is_system = bool(options.keys() & {"-r", "--system"})
    taken = {one.user_id for one in (*ran.known_users, *ran.users)}
    user_id = _free(taken, is_system=is_system, is_adduser=is_adduser)
    if given := options.get("-u", options.get("--uid", "")):
        if not given.isdecimal():
            raise RunError(f"the user id {given} is not a number")
        user_id = int(given)
    group = next((options[one] for one in ("-g", "--gid", "--ingroup") if one in options), "")
    own_group = NOGROUP if is_adduser and is_system and "--group" not in options else ran.groups.get(name, user_id)
    if group and not group.isdecimal() and group not in ran.groups:
        raise RunError(f"nothing makes the group {group}")
    group_id = int(group) if group.isdecimal() else ran.groups.get(group, own_group)
    home = next((options[one] for one in ("-d", "--home", "--home-dir", "-h") if one in options), f"/home/{name}")
    without_home = options.keys() & {"-M", "--no-create-home", "-H"}
    if options.keys() & {"-m", "--create-home"} or (is_adduser and not is_system and not without_home):
        ran.folders.append(home)
    ran.users.append(DockerfileUser(name, user_id, group_id, home))


def _free(taken: set[int], *, is_system: bool, is_adduser: bool) -> int:
    """The id that is given where none is asked for: shadow counts a system's down, adduser up."""
    numbers: Sequence[int] = range(_FIRST_USER_ID, 60000)
    if is_system:
        numbers = range(100, 1000) if is_adduser else range(999, 99, -1)
    return next(number for number in numbers if number not in taken)


def add_group(words: Sequence[str], ran: Ran) -> None:
    """`groupadd` and `addgroup`."""
    options, names = split_options(words, "gKp", frozenset({"--gid"}))
    given = options.get("-g", options.get("--gid", ""))
    if len(names) == 1:
        is_system = bool(options.keys() & {"-r", "--system"})
        taken = set(ran.groups.values())
        ran.groups[names[0]] = int(given) if given.isdecimal() else _free(taken, is_system=is_system, is_adduser=False)


def split_options(words: Sequence[str], letters: str, long: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Options with their values, and the other words.

    Args:
        words: after the program's name.
        letters: the short options that take a value; others may stand before one in the same word: `-ms /bin/sh`.
        long: the long options that take a value.
    """
    options: dict[str, str] = {}
    others: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word.startswith("--"):
            name, has_value, value = word.partition("=")
            options[name] = value if has_value or name not in long or not queue else queue.pop(0)
        elif word.startswith("-") and len(word) > 1:
            for at, letter in enumerate(word[1:], start=2):
                options[f"-{letter}"] = ""
                if letter in letters:
                    options[f"-{letter}"] = word[at:] or (queue.pop(0) if queue else "")
                    break
        else:
            others.append(word)
    return options, others
