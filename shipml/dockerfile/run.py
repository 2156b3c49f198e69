"""Understands the commands of RUN that ML Dockerfiles are made of: pip, uv and apt-get install, mkdir, useradd."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Ran", "RunError", "understand_run"]

_FIRST_USER_ID = 1000
_INSTALLERS = frozenset({"pip", "setuptools", "wheel", "uv", "build"})
_PIP_FLAGS = frozenset(
    {"--no-cache-dir", "--no-cache", "--upgrade", "-U", "-q", "--quiet", "--system", "--user", "-v", "--verbose"}
    | {"--break-system-packages", "--prefer-binary", "--disable-pip-version-check", "--no-input", "--compile"}
    | {"--ignore-installed", "-I", "--force-reinstall", "--root-user-action=ignore", "--no-warn-script-location"}
    | {"--no-build-isolation", "--pre", "--use-deprecated=legacy-resolver", "--no-progress-bar", "-y"}
)
_PIP_VALUES = frozenset(
    {"--trusted-host", "--timeout", "--default-timeout", "--retries", "--progress-bar", "--root-user-action", "--cert"}
    | {"--cache-dir", "--only-binary", "--no-binary", "--python", "-p", "--link-mode", "--resume-retries"}
)
_PIP_FILES = frozenset({"-r", "--requirement", "--requirements"})
_PIP_INDEX = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--default-index": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "--index": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}
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
    users: list[tuple[str, int]] = field(default_factory=list)


def understand_run(text: str) -> Ran:
    """What the commands of a RUN do.

    Raises:
        RunError: one of them is not known.
    """
    ran = Ran()
    for words in _commands(text):
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
        elif set(token) <= set(";&|<>()`") or "`" in token or "$(" in token:
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
    named: list[str] = []
    queue = [*words[:rest], *words[rest + 1 :]]
    while queue:
        word = queue.pop(0)
        if word.startswith("-"):
            _pip_option(word, queue, ran)
        elif word.startswith((".", "/")) or word.endswith((".whl", ".tar.gz", ".zip")):
            raise RunError(f"pip install {word}: what lies in the project is not understood")
        else:
            named.append(word)
    ran.requirements += [one for one in named if re.split(r"[<>=!~\[ ]", one)[0].lower() not in _INSTALLERS]


def _pip_option(word: str, queue: list[str], ran: Ran) -> None:
    """One option of `pip install`; its value, where it stands apart, is taken from `queue`."""
    if word in _PIP_FLAGS:
        return
    name, has_value, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
    if name not in _PIP_FILES and name not in _PIP_INDEX and name not in _PIP_VALUES:
        raise RunError(f"pip install {word} is not understood")
    if not has_value and not queue:
        raise RunError(f"pip install {name} lacks its value")
    given = value if has_value else queue.pop(0)
    if name in _PIP_FILES:
        ran.requirement_files.append(given)
    elif name in _PIP_INDEX:
        ran.index_options.append(f"{_PIP_INDEX[name]} {given}")


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


def _useradd(words: Sequence[str], ran: Ran) -> None:
    number = _FIRST_USER_ID + len(ran.users)
    takes_value = {"-u", "--uid", "-g", "--gid", "-G", "--groups", "-s", "--shell", "-d", "--home", "--home-dir", "-c"}
    takes_value |= {"--comment", "--gecos", "--ingroup"}
    names: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, has_value, value = word.partition("=")
        if name in takes_value:
            value = value if has_value else (queue.pop(0) if queue else "")
            if name in {"-u", "--uid"} and value.isdecimal():
                number = int(value)
        elif not word.startswith("-"):
            names.append(word)
    if len(names) == 1:
        ran.users.append((names[0], number))
    elif len(names) != 2:  # noqa: PLR2004  (`adduser USER GROUP` adds to a group)
        raise RunError("it is not clear which user is made")


def _nothing(words: Sequence[str], ran: Ran) -> None:
    """What leaves nothing behind that a program would miss: files of the application belong to its user anyway."""
    del words, ran


_PROGRAMS: Mapping[str, Callable[[Sequence[str], Ran], None]] = {
    "pip": _pip,
    "apt-get": _apt,
    "apt": _apt,
    "mkdir": _mkdir,
    "rm": _rm,
    "useradd": _useradd,
    "adduser": _useradd,
    "groupadd": _nothing,
    "addgroup": _nothing,
    "chown": _nothing,
    **dict.fromkeys(_HARMLESS, _nothing),
}
