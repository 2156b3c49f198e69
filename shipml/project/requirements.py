"""What the project depends on, as its files say it: texts for uv and for cache keys. Nothing is resolved here."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.oci.digest import Digest
from shipml.plan.declared import Declared, DeclaredRequirement, LeftAside
from shipml.project.text import read_text

__all__ = ["read_requirements"]

_INCLUDE = re.compile(r"(?:-r|-c|--requirements?|--constraints?)[ \t=]*(?P<path>.+)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_UV_FILES = ("uv.toml",)
_UV_KEYS = ("requires-python", "dependencies", "dynamic", "optional-dependencies")


def read_requirements(folder: Path, pyproject: Mapping[str, Any] | None) -> Declared | None:
    """What the project asks for; None where no file says anything.

    Raises:
        ConfigurationError: a file cannot be read, or an included one is missing.
    """
    table = (pyproject or {}).get("project")
    project: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
    declared = "dependencies" in project or "dependencies" in _dynamic(project)
    uv_texts = _uv_settings(folder, pyproject)
    text = read_text(folder, "requirements.txt")
    if text is not None:
        files = {"requirements.txt": text}
        names = _walk(folder, "requirements.txt", files)
        return Declared(
            "requirements.txt",
            tuple(DeclaredRequirement(name, "requirements.txt") for name in names),
            left_aside=(LeftAside("pyproject.toml", "requirements.txt is what pip install -r takes"),)
            if declared
            else (),
            as_it_stands=True,
            texts=tuple(files.items()),
            inputs=(*files.items(), *uv_texts, *_local_archives(folder, names)),
        )
    if declared:
        kept = {key: project[key] for key in _UV_KEYS if key in project}
        names = [name for name in project.get("dependencies", ()) if isinstance(name, str)]
        return Declared(
            "pyproject.toml",
            tuple(DeclaredRequirement(name, "pyproject.toml") for name in names),
            as_it_stands=True,
            inputs=(("pyproject.toml", _canonical(kept)), *uv_texts),
        )
    return None


def _local_archives(folder: Path, names: list[str]) -> list[tuple[str, str]]:
    """(path, digest) of wheels that are asked for by path: another file of the same name is another requirement."""
    found = []
    for name in names:
        path = name.rpartition(" @ ")[2].partition(";")[0].strip().removeprefix("file://").removeprefix("file:")
        if path.endswith(_ARCHIVES) and "://" not in path and (folder / path).is_file():
            found.append((path, str(Digest.of_file(folder / path))))
    return found


def _dynamic(project: Mapping[str, Any]) -> list[str]:
    dynamic = project.get("dynamic", ())
    return [item for item in dynamic if isinstance(item, str)] if isinstance(dynamic, list) else []


def _uv_settings(folder: Path, pyproject: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What the project tells uv itself: its indexes, sources and constraints change what a name resolves to."""
    found = [(name, text) for name in _UV_FILES if (text := read_text(folder, name)) is not None]
    tool = (pyproject or {}).get("tool", {})
    if isinstance(tool, Mapping) and "uv" in tool:
        found.append(("pyproject.toml [tool.uv]", _canonical(tool["uv"])))
    return found


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _walk(folder: Path, name: str, files: dict[str, str], *, constraints: bool = False) -> list[str]:
    """The requirements in `files[name]` and what it includes, whose texts are added to `files`."""
    names = []
    for number, line in _logical_lines(files[name]):
        if include := _INCLUDE.fullmatch(line):
            is_constraint = constraints or line.startswith(("-c", "--c"))
            names += _follow(folder, name, number, include["path"].strip(" \t\"'"), files, constraints=is_constraint)
        elif not line.startswith("-") or line.startswith(("-e", "--editable")):
            names.append(line.split(" --")[0].strip())
    return [] if constraints else names


def _follow(
    folder: Path, name: str, number: int, target: str, files: dict[str, str], *, constraints: bool
) -> list[str]:
    if "://" in target:
        return []
    path = target if target.startswith("/") else posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if path in files:
        return []
    text = read_text(folder, path)
    if text is None:
        raise ConfigurationError(
            f"{name}:{number} includes {target}, which is not there", hint=f"add {path}, or remove the line"
        )
    files[path] = text
    return _walk(folder, path, files, constraints=constraints)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of the first line, text) of each requirement: comments gone, continued lines joined (pip's format)."""
    lines: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        start = start if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        if whole := _COMMENT.sub("", pending + line).strip():
            lines.append((start, whole))
        pending = ""
    if whole := _COMMENT.sub("", pending).strip():
        lines.append((start, whole))
    return lines
