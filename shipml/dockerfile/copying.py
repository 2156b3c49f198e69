"""COPY and ADD: files of the project, of earlier stages, and those that stand in the Dockerfile itself."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from shipml.dockerfile.reader import Reader, UnsupportedError, exec_form
from shipml.dockerfile.stages import is_tool, taken_over, together
from shipml.dockerfile.text import Instruction, expanded
from shipml.facts.dockerfile import Copied, UnsupportedInstruction

__all__ = ["copy", "project_path"]


def copy(reader: Reader, instruction: Instruction) -> None:
    """Carry out COPY or ADD."""
    for name, value in instruction.flags:
        if name not in {"chown", "link", "from", "chmod", "exclude", "parents"}:
            raise UnsupportedError(f"--{name}={value} is not understood")
    text = reader.text(instruction)
    listed, plain = exec_form(text)
    if plain.startswith("["):
        raise UnsupportedError("its brackets are not a JSON list of strings")
    words = list(listed) or shlex.split(plain)
    if len(words) < 2:  # noqa: PLR2004  (source and destination)
        raise UnsupportedError("it copies nothing")
    *sources, destination = words
    target = reader.path(destination)
    if len(sources) > 1 and not target.endswith("/"):
        target += "/"
    if instruction.documents:
        _write(reader, instruction, target)
        return
    for stage in instruction.values("from"):
        _copy_from(reader, expanded(stage, reader.variables), sources, target)
        return
    if instruction.keyword == "ADD" and any(_is_special(source) for source in sources):
        raise UnsupportedError("ADD of an address or archive is not understood: keep the files in the project")
    copies = [Copied(project_path(source), target, instruction.first_line + 1) for source in sources]
    executables: list[str] = []
    if any(re.search(r"[1357]|x", mode) for mode in instruction.values("chmod")):
        executables = [target + posixpath.basename(one) if target.endswith("/") else target for one in sources]
    reader.found = replace(
        reader.found,
        copies=(*reader.found.copies, *copies),
        executables=(*reader.found.executables, *executables),
    )


def _write(reader: Reader, instruction: Instruction, target: str) -> None:
    """Files that stand in the Dockerfile: `COPY <<EOF /app/run.sh`."""
    if target.endswith("/") or len(instruction.documents) > 1:
        raise UnsupportedError("several files written in the Dockerfile are not understood")
    body, is_literal = instruction.documents[0]
    body = body if is_literal else expanded(body, reader.variables, unset_stays=False)
    reader.found = replace(reader.found, written=(*reader.found.written, (target, body)))


def _copy_from(reader: Reader, name: str, sources: Sequence[str], target: str) -> None:
    """`COPY --from`: of a stage what it copied and installed; of a tool's image the tool."""
    source = reader.stage(name)
    if isinstance(source, UnsupportedInstruction):
        raise UnsupportedError(f"it copies from the stage {name}, and line {source.line}: {source.because}")
    if source is None:
        if not is_tool(name, sources):
            raise UnsupportedError(f"it copies from the image {name}")
        return
    for path in sources:
        found = taken_over(source.found, path, target)
        if found is None:
            raise UnsupportedError(f"{path} of the stage {name} is made by what only an engine runs")
        reader.found = together(reader.found, found)
        reader.exported |= source.exported


def _is_special(source: str) -> bool:
    return "://" in source or source.startswith("git@") or bool(re.search(r"\.(?:tar|t[gbx]z|tar\.\w+)$", source))


def project_path(source: str) -> str:
    """A source relative to the project's folder; "" is all of it."""
    path = posixpath.normpath(source.lstrip("/") or ".")
    if path.startswith("../"):
        raise UnsupportedError(f"{source} lies outside of the project")
    return "" if path == "." else path
