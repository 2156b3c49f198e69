"""Understands the Dockerfiles that ML projects have: instructions → `FollowedDockerfile`, or the first that is not.

Semantics: docs.docker.com/reference/dockerfile. Pure: what a COPY finds is looked up later, among the project's files.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shipml.dockerfile.run import Ran, RunError, understand_run
from shipml.dockerfile.text import (
    Dockerfile,
    Instruction,
    Stage,
    expanded,
    parse_dockerfile,
)
from shipml.facts.dockerfile import (
    Copied,
    DockerfileCommand,
    FollowedDockerfile,
    UnsupportedInstruction,
)

__all__ = ["understand_dockerfile"]

_PYTHON_IMAGE = re.compile(r"(?:docker\.io/)?(?:library/)?python:(?P<version>3\.\d+)(?:\.\d+)?(?P<variant>[-\w.]*)")
_DEBIAN_IMAGE = re.compile(r"(?:docker\.io/)?(?:library/)?(?:debian|buildpack-deps):(?P<suite>[a-z]+)(?:-slim)?")
_FOREIGN = re.compile(r"alpine|windows|nanoserver")
_HEALTH = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\S+?)?(?P<path>/[^\s'\"|;)]*)")
_SHOWN = 60
_FILE = re.compile(r"\.(?:txt|toml|lock|in|pip|cfg|py|ya?ml|json)$")
"""A source that is a file, whatever it is copied to."""


class _UnsupportedError(Exception):
    """Why an instruction is not understood."""


def understand_dockerfile(
    text: str, build_arguments: Mapping[str, str] | None = None, *, file: str = "Dockerfile"
) -> FollowedDockerfile | UnsupportedInstruction:
    """What the Dockerfile says.

    Args:
        text: of the Dockerfile.
        build_arguments: values of its ARGs.
        file: its name.
    """
    return replace(_understood(text, build_arguments), file=file)


def _understood(text: str, build_arguments: Mapping[str, str] | None) -> FollowedDockerfile | UnsupportedInstruction:
    document = parse_dockerfile(text)
    arguments = dict(build_arguments or {})
    stages = document.stages(arguments)
    froms = [one for one in document.instructions if one.keyword == "FROM"]
    if not stages:
        return UnsupportedInstruction(1, "", "it has no FROM")
    if len(stages) > 1:
        return _because(froms[1], "there is more than one stage")
    return _Reader(document, arguments).read(stages[0], froms[0])


def _because(instruction: Instruction, because: str) -> UnsupportedInstruction:
    shown = " ".join(f"{instruction.keyword} {instruction.rest}".split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    return UnsupportedInstruction(instruction.first_line + 1, shown, because)


@dataclass(slots=True)
class _Reader:
    """Carries out instructions on values, one after the other."""

    document: Dockerfile
    arguments: Mapping[str, str]
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": "$PATH"})
    """ENV and ARG, as they are at this point; the base's PATH is put in by the plan."""
    groups: dict[str, int] = field(default_factory=dict)
    """Made by `groupadd`, by name."""
    found: FollowedDockerfile = field(default_factory=lambda: FollowedDockerfile(""))

    def read(self, stage: Stage, start: Instruction) -> FollowedDockerfile | UnsupportedInstruction:
        try:
            self.found = _base(stage)
        except _UnsupportedError as error:
            return _because(start, str(error))
        for instruction in stage.instructions:
            understand = _KEYWORDS.get(instruction.keyword)
            if understand is None:
                return _because(instruction, f"{instruction.keyword} is not understood")
            try:
                understand(self, instruction)
            except (_UnsupportedError, RunError) as error:
                return _because(instruction, str(error))
            except ValueError:  # of shlex or json
                return _because(instruction, "its quotes or brackets do not match")
        return self.found

    def text(self, instruction: Instruction) -> str:
        """What follows the keyword, with variables put in; one that is not set is left to the shell of a RUN alone."""
        return expanded(instruction.rest, self.variables, unset_stays=instruction.keyword == "RUN")

    def path(self, path: str) -> str:
        """An absolute path in the image; what ends with "/" keeps that."""
        joined = posixpath.normpath(posixpath.join(self.found.working_dir, path))
        is_folder = path.endswith(("/", "/.")) or path in {".", ".."}
        return joined.rstrip("/") + "/" if is_folder else joined


def _base(stage: Stage) -> FollowedDockerfile:
    if stage.platform:
        raise _UnsupportedError("FROM names a platform")
    if _FOREIGN.search(stage.base):
        raise _UnsupportedError("packages for another C library than glibc are not made")
    if match := _PYTHON_IMAGE.fullmatch(stage.base):
        return FollowedDockerfile(stage.base, python=match["version"])
    if _DEBIAN_IMAGE.fullmatch(stage.base):
        return FollowedDockerfile(stage.base)
    raise _UnsupportedError(f"{stage.base} is not an image of Python or Debian")


def _pairs(text: str) -> list[tuple[str, str]]:
    """`A=1 B="x y"` or the old form `A x y`."""
    words = shlex.split(text)
    if words and "=" not in words[0]:
        name, _, value = text.partition(" ")
        return [(name, value.strip())]
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]


def _env(reader: _Reader, instruction: Instruction) -> None:
    given = dict(_pairs(reader.text(instruction)))
    reader.variables.update(given)
    environment = dict(reader.found.environment) | given
    reader.found = replace(reader.found, environment=tuple(environment.items()))


def _arg(reader: _Reader, instruction: Instruction) -> None:
    for word in shlex.split(instruction.rest):
        name, has_default, default = word.partition("=")
        value = reader.arguments.get(name, expanded(default, reader.variables) if has_default else None)
        if value is not None and name not in dict(reader.found.environment):
            reader.variables[name] = value


def _label(reader: _Reader, instruction: Instruction) -> None:
    labels = dict(reader.found.labels) | dict(_pairs(reader.text(instruction)))
    reader.found = replace(reader.found, labels=tuple(labels.items()))


def _maintainer(reader: _Reader, instruction: Instruction) -> None:
    labels = dict(reader.found.labels) | {"maintainer": instruction.rest.strip("\"'")}
    reader.found = replace(reader.found, labels=tuple(labels.items()))


def _workdir(reader: _Reader, instruction: Instruction) -> None:
    path = reader.path(reader.text(instruction).strip("\"'")).rstrip("/") or "/"
    reader.found = replace(reader.found, working_dir=path)


def _expose(reader: _Reader, instruction: Instruction) -> None:
    ports = list(reader.found.exposed_ports)
    for word in reader.text(instruction).split():
        number, _, protocol = word.partition("/")
        if not number.isdecimal() or protocol not in {"", "tcp"}:
            raise _UnsupportedError(f"{word} is not a TCP port")
        ports.append(int(number))
    reader.found = replace(reader.found, exposed_ports=tuple(dict.fromkeys(ports)))


def _user(reader: _Reader, instruction: Instruction) -> None:
    name = reader.text(instruction).strip()
    user = name.partition(":")[0]
    known = {one.name: one for one in reader.found.users}
    if made := known.get(user):
        name = f"{made.user_id}:{made.group_id}"
        reader.found = replace(reader.found, home=made.home)
    elif not user.isdecimal() and user not in {"root", "nobody", "nonroot"}:
        raise _UnsupportedError(f"nothing makes the user {user}")
    reader.found = replace(reader.found, user="" if user in {"root", "0"} else name)


def _copy(reader: _Reader, instruction: Instruction) -> None:
    for name, value in instruction.flags:
        if name not in {"chown", "link"}:
            raise _UnsupportedError(f"--{name}={value} is not understood")
    text = reader.text(instruction)
    listed, plain = _form(text)
    if plain.startswith("["):
        raise _UnsupportedError("its brackets are not a JSON list of strings")
    words = list(listed) or shlex.split(plain)
    if "<<" in text or len(words) < 2:  # noqa: PLR2004  (source and destination)
        raise _UnsupportedError("files written in the Dockerfile are not understood")
    *sources, destination = words
    if instruction.keyword == "ADD" and any(_is_special(source) for source in sources):
        raise _UnsupportedError("ADD of an address or archive is not understood")
    target = reader.path(destination)
    if len(sources) > 1 and not target.endswith("/"):
        target += "/"
    copies = [Copied(_relative(source), target, instruction.first_line + 1) for source in sources]
    reader.found = replace(reader.found, copies=(*reader.found.copies, *copies))


def _is_special(source: str) -> bool:
    return "://" in source or source.startswith("git@") or bool(re.search(r"\.(?:tar|t[gbx]z|tar\.\w+)$", source))


def _relative(source: str) -> str:
    path = posixpath.normpath(source.lstrip("/") or ".")
    if path.startswith("../"):
        raise _UnsupportedError(f"{source} lies outside of the project")
    return "" if path == "." else path


def _run(reader: _Reader, instruction: Instruction) -> None:
    mounted = [one for flag in instruction.flags if (one := _mount(reader, *flag)) is not None]
    text = reader.text(instruction)
    line = instruction.first_line + 1
    if "<<" in text:
        raise _UnsupportedError("here-documents are not understood")
    words, shell = _form(text)
    ran = understand_run(shell or shlex.join(words), reader.found.users, reader.groups)
    reader.groups = ran.groups
    reader.found = _after(reader, ran, line, mounted)


def _mount(reader: _Reader, name: str, value: str) -> Copied | None:
    """What `--mount=type=bind,source=…,target=…` shows to one RUN; None for a cache."""
    options = {key.strip(): rest for key, _, rest in (part.partition("=") for part in value.split(","))}
    kind = options.get("type", "bind")
    if name == "mount" and kind == "cache":
        return None
    target = next((options[key] for key in ("target", "dst", "destination") if key in options), "")
    if name != "mount" or kind != "bind" or "from" in options or not target:
        raise _UnsupportedError(f"--{name}={value} is not understood")
    source = options.get("source", options.get("src", ""))
    return Copied(_relative(source), reader.path(target), 0)


def _after(reader: _Reader, ran: Ran, line: int, mounted: Sequence[Copied]) -> FollowedDockerfile:
    found = reader.found
    return replace(
        found,
        system_packages=(*found.system_packages, *((name, line) for name in ran.system_packages)),
        requirement_files=(
            *found.requirement_files,
            *((_in_project(reader, path, mounted), line) for path in ran.requirement_files),
        ),
        requirements=(*found.requirements, *((text, line) for text in ran.requirements)),
        index_options=(*found.index_options, *ran.index_options),
        folders=(*found.folders, *(reader.path(path).rstrip("/") for path in ran.folders)),
        users=(*found.users, *ran.users),
    )


def _in_project(reader: _Reader, path: str, mounted: Sequence[Copied]) -> str:
    """Where a file of the image came from in the project."""
    wanted = reader.path(path)
    for copied in reversed((*reader.found.copies, *mounted)):
        folder = copied.destination.rstrip("/") + "/"
        base = posixpath.basename(copied.source)
        if copied.destination == wanted or (base and folder + base == wanted):
            return copied.source
        if wanted.startswith(folder) and not _FILE.search(base):
            below = wanted.removeprefix(folder)
            return posixpath.join(copied.source, below) if "*" not in copied.source else below
    raise _UnsupportedError(f"{path} is not copied before it is installed")


def _command(reader: _Reader, instruction: Instruction) -> None:
    line = instruction.first_line + 1
    words, text = _form(instruction.rest)
    before = reader.found.command or DockerfileCommand()
    if instruction.keyword == "ENTRYPOINT" and text:
        found = DockerfileCommand(text=text, line=line, is_entrypoint=True)  # CMD has no effect beside it
    elif instruction.keyword == "ENTRYPOINT":
        if words and before.text and not before.is_entrypoint:
            raise _UnsupportedError("an ENTRYPOINT with a CMD for a shell is not understood")
        kept = "" if before.is_entrypoint or words else before.text
        found = DockerfileCommand(words, before.arguments, kept, line)
    elif before.is_entrypoint:
        found = before
    elif before.entrypoint and text:
        raise _UnsupportedError("a CMD for a shell after an ENTRYPOINT is not understood")
    else:
        found = DockerfileCommand(before.entrypoint, words, text, line)
    reader.found = replace(reader.found, command=found)


def _form(rest: str) -> tuple[tuple[str, ...], str]:
    """The exec form as words, or the shell form as it stands."""
    if rest.lstrip().startswith("["):
        try:
            words = json.loads(rest)
        except ValueError:
            return (), rest
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return tuple(words), ""
    return (), rest


def _healthcheck(reader: _Reader, instruction: Instruction) -> None:
    if match := _HEALTH.search(instruction.rest):
        reader.found = replace(reader.found, health_path=match["path"])


def _shell(reader: _Reader, instruction: Instruction) -> None:
    """Which shell reads RUN and CMD: what is understood of them means the same to each of these."""
    words, _ = _form(reader.text(instruction))
    if not words or posixpath.basename(words[0]) not in {"sh", "bash", "dash"}:
        raise _UnsupportedError("another shell than sh or bash is not understood")


def _nothing(reader: _Reader, instruction: Instruction) -> None:
    """What changes nothing of what the image does."""
    del reader, instruction


_KEYWORDS: Mapping[str, Callable[[_Reader, Instruction], None]] = {
    "ADD": _copy,
    "ARG": _arg,
    "CMD": _command,
    "COPY": _copy,
    "ENTRYPOINT": _command,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "RUN": _run,
    "ONBUILD": _nothing,
    "SHELL": _shell,
    "STOPSIGNAL": _nothing,
    "USER": _user,
    "WORKDIR": _workdir,
}
