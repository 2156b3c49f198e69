"""Which names are the project's own: itself, its uv workspace's members, and what [tool.uv.sources] gives a path.

These are never looked up on an index: whoever publishes such a name there must not get into the image.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.folders import is_file, is_folder
from shipml.project.data import normalised
from shipml.project.text import parse_toml, read_any_text

__all__ = ["local_projects"]

_FILE = "pyproject.toml"
_MOST_PROJECTS = 500


def local_projects(folder: Path, pyproject: Mapping[str, Any]) -> dict[str, str]:
    """Name (normalised) → folder relative to the project, "." for its top; those of members and paths included.

    Raises:
        ConfigurationError: a path source lies outside the project, whose files alone come into the image.
    """
    found: dict[str, str] = {}
    if own := _name(pyproject):
        found[own] = "."
    waiting = [(".", pyproject)]
    seen = {"."}
    while waiting and len(seen) < _MOST_PROJECTS:
        at, document = waiting.pop()
        for name, path in (*_members(folder, at, document), *_path_sources(folder, at, document)):
            found.setdefault(name, path)
            if path not in seen:
                seen.add(path)
                waiting.append((path, _document(folder, path)))
    return found


def _members(folder: Path, at: str, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The members of uv's workspace (docs.astral.sh/uv/concepts/projects/workspaces)."""
    patterns = _table(document, "tool", "uv", "workspace").get("members")
    for pattern in patterns if isinstance(patterns, list) else ():
        if not isinstance(pattern, str) or pattern.startswith("/") or ".." in pattern.split("/"):
            continue
        for path in sorted((folder / at).glob(pattern.rstrip("/"))):
            relative = posixpath.normpath(path.relative_to(folder).as_posix())
            if is_file(path / _FILE) and (name := _name(_document(folder, relative))):
                yield name, relative


def _path_sources(folder: Path, at: str, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in _table(document, "tool", "uv", "sources").items():
        for one in value if isinstance(value, list) else [value]:
            path = one.get("path") if isinstance(one, Mapping) else None
            if not isinstance(path, str) or path.endswith((".whl", ".gz", ".zip")):
                continue
            relative = posixpath.normpath(posixpath.join(at, path.replace("\\", "/")))
            if relative.startswith(("/", "..")):
                raise ConfigurationError(
                    f"{posixpath.normpath(f'{at}/{_FILE}')} takes {name} from {path}, which lies outside the project",
                    hint="only the project's own files come into the image: run shipml build on the folder that holds"
                    " both, or copy it into the project",
                )
            if is_folder(folder / relative):
                yield normalised(name), relative


def _name(document: Mapping[str, Any]) -> str:
    name = _table(document, "project").get("name", _table(document, "tool", "poetry").get("name"))
    return normalised(name) if isinstance(name, str) else ""


def _document(folder: Path, path: str) -> Mapping[str, Any]:
    found = read_any_text(folder, posixpath.join(path, _FILE))
    return parse_toml(posixpath.join(path, _FILE), found[0]) if found is not None else {}


def _table(document: object, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}
