"""Understands the commands of RUN that ML Dockerfiles are made of: pip, uv and apt-get install, mkdir, useradd."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shipml.dockerfile.pip_install import read_pip_install, without_redirections
from shipml.facts.dockerfile import DockerfileUser

__all__ = ["Ran", "RunError", "understand_run"]

_FIRST_USER_ID = 1000
_NOGROUP = 65534
_GROUPS = {"root": 0, "www-data": 33, "staff": 50, "users": 100, "nogroup": _NOGROUP}
"""Those of Debian's images that Dockerfiles name."""
_USER_VALUES = frozenset(
    {"--uid", "--gid", "--groups", "--shell", "--home", "--home-dir", "--comment", "--gecos", "--ingroup"}
    | {"--base-dir", "--expiredate", "--inactive", "--skel", "--key", "--password", "--firstuid", "--lastuid"}
)
_INSTALLERS = frozenset({"pip", "wheel"})
"""What a program does not need: it was there to install others."""
_HARMLESS = frozenset({"true", ":", "echo", "set", "ldconfig"})
_CLEANS = re.compile(
    r"/var/lib/apt/lists.*|/var/cache/.*|/tmp/.*|/root/\.cache.*|~/\.cache.*|/var/tmp/.*|/usr/share/(?:doc|man).*"
)


class RunError(Exception):
    """Why a RUN is not understood: a clause."""


@dataclass(slots=True)
class Ran:
    """What a RUN does."""

    system_packages: list[str] = field(default_factory=list)
    requirement_files: list[str] = field(default_factory=list)
    """As written: relative to the working directory, or absolute."""
    requirements: list[str] = field(default_factory=list)
    index_options: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    users: list[DockerfileUser] = field(default_factory=list)
    """Those of earlier RUNs are not among them."""
    known_users: tuple[DockerfileUser, ...] = ()
    groups: dict[str, int] = field(default_factory=dict)
    """All that there are, by name."""


def understand_run(text: str, users: Sequence[DockerfileUser] = (), groups: Mapping[str, int] | None = None) -> Ran:
    """What the commands of a RUN do.

    Args:
        text: the commands.
        users: those that earlier RUNs made.
        groups: their groups, by name.

    Raises:
        RunError: one of them is not known.
    """
    ran = Ran(known_users=tuple(users), groups={**_GROUPS, **(groups or {})})
    for words in _commands(without_redirections(text)):
        _understand(words, ran)
    return ran


def _commands(text: str) -> Iterator[list[str]]:
    """The simple commands of `a && b; c`, as words."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>()`")
    lexer.whitespace_split = True
    lexer.commenters = ""  # it sees them within words, too: the rest would be lost after git+https://…#egg=NAME
    try:
        tokens = list(lexer)
    except ValueError as error:
        raise RunError(f"it cannot be split into words ({str(error).lower()})") from error
    command: list[str] = []
    for token in tokens:
        if token.startswith("#"):
            break
        if token in {"&&", ";"}:
            if command:
                yield command
            command = []
        elif (token and set(token) <= set(";&|<>()`")) or "`" in token or "$(" in token:
            raise RunError(f"{token} needs a shell")
        else:
            command.append(token)
    if command:
        yield command


def _understand(words: list[str], ran: Ran) -> None:
    if words[0] == "sudo":
        words = words[1:]
    while words and re.fullmatch(r"DEBIAN_FRONTEND=\w+|PIP_\w+=\S+|UV_\w+=\S+", words[0]):
        words = words[1:]
    if not words:
        return
    program = words[0].rpartition("/")[2]
    if re.fullmatch(r"python[\d.]*", program) and words[1:3] == ["-m", "pip"]:
        program, words = "pip", words[2:]
    elif program == "uv" and words[1:2] == ["pip"]:
        program, words = "pip", words[1:]
    elif re.fullmatch(r"pip[\d.]*", program):
        program = "pip"
    understand = _PROGRAMS.get(program)
    if understand is None:
        raise RunError(f"{program} is not understood")
    understand(words[1:], ran)


def _pip(words: Sequence[str], ran: Ran) -> None:
    action, rest = next(((word, at) for at, word in enumerate(words) if not word.startswith("-")), ("", 0))
    if action in {"cache", "check", "list", "config", "--version"}:
        return
    if action != "install":
        raise RunError(f"pip {action} is not understood")
    asked = read_pip_install([*words[:rest], *words[rest + 1 :]])
    if asked.lacking:
        raise RunError(f"pip install {asked.lacking} lacks its value")
    for one in (*asked.others, *(f"-c {path}" for path in asked.constraints)):
        raise RunError(f"pip install {one} is not understood")
    for one in (*asked.places, *(f"-e {place}" for place in asked.editable)):
        raise RunError(f"pip install {one}: what lies in the project is not understood")
    ran.requirement_files += asked.files
    ran.index_options += asked.index_options
    ran.requirements += [
        one for one in asked.requirements if re.split(r"[<>=!~\[ ]", one)[0].lower() not in _INSTALLERS
    ]


def _apt(words: Sequence[str], ran: Ran) -> None:
    plain = [word for word in words if not word.startswith("-")]
    action = plain[0] if plain else ""
    if action in {"update", "clean", "autoclean", "autoremove", "upgrade", "dist-upgrade", "purge", "remove"}:
        return
    if action != "install":
        raise RunError(f"apt-get {action} is not understood")
    for word in plain[1:]:
        if "/" in word:
            raise RunError(f"apt-get install {word}: files are not understood")
        ran.system_packages.append(word.partition("=")[0])


def _mkdir(words: Sequence[str], ran: Ran) -> None:
    ran.folders += [word for word in words if not word.startswith("-")]


def _rm(words: Sequence[str], ran: Ran) -> None:
    del ran
    for word in words:
        if not word.startswith("-") and not _CLEANS.fullmatch(word):
            raise RunError(f"rm of {word} is not understood")


def _user(words: Sequence[str], ran: Ran, *, is_adduser: bool) -> None:
    """`useradd` of shadow, `adduser` of Debian: ids, group and home as they give them."""
    options, names = _options(words, "ugGsdcbekKp" if not is_adduser else "ugGsdch", _USER_VALUES)
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
    own_group = _NOGROUP if is_adduser and is_system and "--group" not in options else ran.groups.get(name, user_id)
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


def _group(words: Sequence[str], ran: Ran) -> None:
    options, names = _options(words, "gKp", frozenset({"--gid"}))
    given = options.get("-g", options.get("--gid", ""))
    if len(names) == 1:
        is_system = bool(options.keys() & {"-r", "--system"})
        taken = set(ran.groups.values())
        ran.groups[names[0]] = int(given) if given.isdecimal() else _free(taken, is_system=is_system, is_adduser=False)


def _options(words: Sequence[str], letters: str, long: frozenset[str]) -> tuple[dict[str, str], list[str]]:
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


def _nothing(words: Sequence[str], ran: Ran) -> None:
    """What leaves nothing behind that a program would miss: files of the application belong to its user anyway."""
    del words, ran


_PROGRAMS: Mapping[str, Callable[[Sequence[str], Ran], None]] = {
    "pip": _pip,
    "apt-get": _apt,
    "apt": _apt,
    "mkdir": _mkdir,
    "rm": _rm,
    "useradd": functools.partial(_user, is_adduser=False),
    "adduser": functools.partial(_user, is_adduser=True),
    "groupadd": _group,
    "addgroup": _group,
    "chown": _nothing,
    **dict.fromkeys(_HARMLESS, _nothing),
}
