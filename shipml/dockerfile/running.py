"""RUN: what its commands install and make, and the files that they read."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from shipml.dockerfile.copying import project_path
from shipml.dockerfile.ran import Ran
from shipml.dockerfile.reader import Reader, UnsupportedError, exec_form
from shipml.dockerfile.run import understand_run
from shipml.dockerfile.stages import is_tool
from shipml.dockerfile.text import Instruction, expanded
from shipml.facts.dockerfile import Copied, FollowedDockerfile

__all__ = ["run"]

_FILE = re.compile(r"\.(?:txt|toml|lock|in|pip|cfg|py|ya?ml|json)$")
"""A source that is a file, whatever it is copied to."""


def run(reader: Reader, instruction: Instruction) -> None:
    """Carry out RUN."""
    mounted = [one for flag in instruction.flags if (one := _mount(reader, *flag)) is not None]
    text = reader.text(instruction)
    if instruction.documents:
        text = _script(reader, instruction, text)
    words, shell = exec_form(text)
    ran = understand_run(shell or shlex.join(words), reader.found.users, reader.groups)
    reader.groups = ran.groups
    reader.exported |= {reader.path(path) for path in ran.exported}
    reader.found = _after(reader, ran, instruction.first_line + 1, mounted)
    for command, because in ran.skipped:
        reader.skip(instruction, because, command)


def _script(reader: Reader, instruction: Instruction, text: str) -> str:
    """The commands of `RUN <<EOF`."""
    before = text.partition("<<")[0].strip()
    if len(instruction.documents) > 1 or before not in {"", "sh", "bash", "/bin/sh", "/bin/bash"}:
        raise UnsupportedError("here-documents for other programs than a shell are not understood")
    body, is_literal = instruction.documents[0]
    lines = [line for line in body.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return joined if is_literal else expanded(joined, reader.variables)


def _mount(reader: Reader, name: str, value: str) -> Copied | None:
    """What `--mount=type=bind,source=…,target=…` shows to one RUN; None for a cache."""
    options = {key.strip(): rest for key, _, rest in (part.partition("=") for part in value.split(","))}
    kind = options.get("type", "bind")
    is_free = kind in {"cache", "tmpfs"} or is_tool(options.get("from", ""), [options.get("source", "")])
    if (name == "mount" and is_free) or name in {"network", "security"}:
        return None
    target = next((options[key] for key in ("target", "dst", "destination") if key in options), "")
    if name != "mount" or kind != "bind" or "from" in options or not target:
        raise UnsupportedError(f"--{name}={value} is not understood")
    source = options.get("source", options.get("src", ""))
    return Copied(project_path(source), reader.path(target), 0)


def _after(reader: Reader, ran: Ran, line: int, mounted: Sequence[Copied]) -> FollowedDockerfile:
    found = reader.found
    return replace(
        found,
        system_packages=(*found.system_packages, *((name, line) for name in ran.system_packages)),
        requirement_files=(*found.requirement_files, *_installed(reader, ran.requirement_files, line, mounted)),
        constraint_files=(*found.constraint_files, *_installed(reader, ran.constraint_files, line, mounted)),
        requirements=(*found.requirements, *((text, line) for text in ran.requirements)),
        index_options=(*found.index_options, *ran.index_options),
        project_files=tuple(
            dict.fromkeys((*found.project_files, *(_near(reader, path, mounted) for path in ran.project_files)))
        ),
        extras=tuple(dict.fromkeys((*found.extras, *ran.extras))),
        groups=tuple(dict.fromkeys((*found.groups, *ran.dependency_groups))),
        conda_packages=(*found.conda_packages, *((text, line) for text in ran.conda_packages)),
        installs_itself=found.installs_itself or ran.installs_itself,
        environments=(*found.environments, *(reader.path(path).rstrip("/") for path in ran.environments)),
        executables=(*found.executables, *(reader.path(path) for path in ran.executables)),
        folders=(*found.folders, *(reader.path(path).rstrip("/") for path in ran.folders)),
        users=(*found.users, *ran.users),
    )


def _installed(reader: Reader, paths: Sequence[str], line: int, mounted: Sequence[Copied]) -> Iterator[tuple[str, int]]:
    """Files that pip reads, but for those that a tool wrote from the project's own."""
    for path in paths:
        if reader.path(path) not in reader.exported:
            yield _in_project(reader, path, mounted), line


def _near(reader: Reader, path: str, mounted: Sequence[Copied]) -> str:
    """A file that a tool installs from; the project's own of that name where nothing says it was copied."""
    try:
        return _in_project(reader, path, mounted)
    except UnsupportedError:
        return posixpath.basename(path)


def _in_project(reader: Reader, path: str, mounted: Sequence[Copied]) -> str:
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
    raise UnsupportedError(f"{path} is not copied before it is installed")
