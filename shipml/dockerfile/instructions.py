"""What each instruction of a Dockerfile does to a stage (docs.docker.com/reference/dockerfile)."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import replace

from shipml.dockerfile.copying import copy
from shipml.dockerfile.reader import Keywords, Reader, UnsupportedError, exec_form
from shipml.dockerfile.running import run
from shipml.dockerfile.text import Instruction, expanded
from shipml.dockerfile.tools import RUNNERS
from shipml.facts.dockerfile import DockerfileCommand

__all__ = ["KEYWORDS"]

_HEALTH = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\S+?)?(?P<path>/[^\s'\"|;)]*)")
_NOBODY = "65532"
"""Who runs the image where its own user is not known."""


def _pairs(text: str) -> list[tuple[str, str]]:
    """`A=1 B="x y"` or the old form `A x y`."""
    words = shlex.split(text)
    if words and "=" not in words[0]:
        name, _, value = text.partition(" ")
        return [(name, value.strip())]
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]


def _env(reader: Reader, instruction: Instruction) -> None:
    given = dict(_pairs(reader.text(instruction)))
    reader.variables.update(given)
    environment = dict(reader.found.environment) | given
    reader.found = replace(reader.found, environment=tuple(environment.items()))


def _arg(reader: Reader, instruction: Instruction) -> None:
    for word in shlex.split(instruction.rest):
        name, has_default, default = word.partition("=")
        value = reader.arguments.get(name, expanded(default, reader.variables) if has_default else None)
        if value is not None and name not in dict(reader.found.environment):
            reader.variables[name] = value


def _label(reader: Reader, instruction: Instruction) -> None:
    labels = dict(reader.found.labels) | dict(_pairs(reader.text(instruction)))
    reader.found = replace(reader.found, labels=tuple(labels.items()))


def _maintainer(reader: Reader, instruction: Instruction) -> None:
    labels = dict(reader.found.labels) | {"maintainer": instruction.rest.strip("\"'")}
    reader.found = replace(reader.found, labels=tuple(labels.items()))


def _workdir(reader: Reader, instruction: Instruction) -> None:
    path = reader.path(reader.text(instruction).strip("\"'")).rstrip("/") or "/"
    reader.found = replace(reader.found, working_dir=path)


def _expose(reader: Reader, instruction: Instruction) -> None:
    ports = list(reader.found.exposed_ports)
    for word in reader.text(instruction).split():
        number, _, protocol = word.partition("/")
        if not number.isdecimal() or protocol not in {"", "tcp"}:
            raise UnsupportedError(f"{word} is not a TCP port", is_light=protocol == "udp")
        ports.append(int(number))
    reader.found = replace(reader.found, exposed_ports=tuple(dict.fromkeys(ports)))


def _user(reader: Reader, instruction: Instruction) -> None:
    name = reader.text(instruction).strip()
    user = name.partition(":")[0]
    known = {one.name: one for one in reader.found.users}
    if made := known.get(user):
        name = f"{made.user_id}:{made.group_id}"
        reader.found = replace(reader.found, home=made.home)
    elif not user.isdecimal() and user not in {"root", "nobody", "nonroot"}:
        reader.found = replace(reader.found, user=_NOBODY)
        raise UnsupportedError(f"nothing makes the user {user}: another without rights takes its place", is_light=True)
    reader.found = replace(reader.found, user="" if user in {"root", "0"} else name)


def _command(reader: Reader, instruction: Instruction) -> None:
    line = instruction.first_line + 1
    words, text = exec_form(instruction.rest)
    before = reader.found.command or DockerfileCommand()
    if instruction.keyword == "ENTRYPOINT" and text:
        found = DockerfileCommand(text=text, line=line, is_entrypoint=True)  # CMD has no effect beside it
    elif instruction.keyword == "ENTRYPOINT":
        if words and before.text and not before.is_entrypoint:
            raise UnsupportedError("an ENTRYPOINT with a CMD for a shell is not understood")
        kept = "" if before.is_entrypoint or words else before.text
        found = DockerfileCommand(words, before.arguments, kept, line)
    elif before.is_entrypoint:
        found = before
    elif before.entrypoint and text:
        raise UnsupportedError("a CMD for a shell after an ENTRYPOINT is not understood")
    else:
        found = DockerfileCommand(before.entrypoint, words, text, line)
    reader.found = replace(reader.found, command=found)


def _healthcheck(reader: Reader, instruction: Instruction) -> None:
    if match := _HEALTH.search(instruction.rest):
        reader.found = replace(reader.found, health_path=match["path"])


def _shell(reader: Reader, instruction: Instruction) -> None:
    """Which shell reads RUN and CMD: what is understood of them means the same to each of these."""
    words, _ = exec_form(reader.text(instruction))
    if not words or posixpath.basename(words[0]) not in {"sh", "bash", "dash", *RUNNERS}:
        raise UnsupportedError("another shell than sh or bash is not understood")


def _nothing(reader: Reader, instruction: Instruction) -> None:
    """What changes nothing of what the image does."""
    del reader, instruction


KEYWORDS: Keywords = {
    "ADD": copy,
    "ARG": _arg,
    "CMD": _command,
    "COPY": copy,
    "ENTRYPOINT": _command,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "RUN": run,
    "ONBUILD": _nothing,
    "SHELL": _shell,
    "STOPSIGNAL": _nothing,
    "VOLUME": _nothing,
    "USER": _user,
    "WORKDIR": _workdir,
}
