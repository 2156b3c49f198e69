"""`-e .` and `./package`: the project's own packages are files of the image already; what they depend on is not."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shipml.errors import BuildError, ConfigurationError
from shipml.facts.requirements import Correction
from shipml.folders import is_folder
from shipml.project.data import normalised
from shipml.project.requirements.local_projects import local_projects
from shipml.project.requirements.pyproject import Pyproject, line_of_entry
from shipml.project.requirements.reader import Folder, Line, Reader
from shipml.project.requirements.setup_files import SetupCfg, SetupPy
from shipml.project.text import parse_toml, read_any_text

__all__ = ["Expanded", "expand", "open_folder", "own_requirements", "source_folder"]

_LOCAL = re.compile(
    r"(?:(?:-e|--editable)[ \t=]*)?(?:file:)?[\"']?"
    r"(?P<path>\.{1,2}(?:[/\\][^\s\[;]*)?|[\w.-]+(?:[/\\][\w./\\-]*)?)(?P<extras>\[[^\]]*\])?[\"']?"
)
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<extras>\[[^\]]*\])?\s*(?=$|[;=<>!~(])")
_READERS: tuple[Reader, ...] = (Pyproject(), SetupCfg(), SetupPy())
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True, slots=True)
class Expanded:
    """Lines without the project's own folders."""

    lines: tuple[Line, ...]
    changes: tuple[Correction, ...] = ()
    folders: tuple[str, ...] = ()
    """Where the packages of those folders lie, relative to the project: "src", "lib/common"; "." for its top."""


def open_folder(path: Path) -> Folder:
    """The folder as readers take it."""
    try:
        names = tuple(sorted(f"{one.name}/" if one.is_dir() else one.name for one in path.iterdir()))
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}", hint="make the folder readable") from error
    found = read_any_text(path, "pyproject.toml")
    text = found[0] if found is not None else ""
    return Folder(path, names, parse_toml("pyproject.toml", text), text)


def expand(
    lines: Iterable[Line], folder: Folder, seen: set[str] | None = None, local: Mapping[str, str] | None = None
) -> Expanded:
    """`lines`, with what each of the project's own folders depends on in its place.

    Args:
        lines: as they are written.
        folder: the project.
        seen: folders, with their extras, that are known already.
        local: names that are the project's own, with their folders; found out where it is None.

    Raises:
        ConfigurationError: a folder that is asked for lies outside the project.
    """
    seen = set() if seen is None else seen
    local = local_projects(folder.path, folder.pyproject) if local is None else local
    kept: list[Line] = []
    changes: list[Correction] = []
    folders: list[str] = []
    for written in lines:
        line = _by_path(written, local)
        path = _own_folder(line, folder)
        known = {path, *(f"{path}[{extra}]" for extra in _extras(line))}
        if path is None:
            kept.append(written)
        elif known <= seen:
            if line is written:
                changes.append(
                    Correction("duplicate", line.text, "", "an earlier line asks for that folder", line.source)
                )
        else:
            inner, change = _dependencies(line, folder, path)
            changes += [change] if path not in seen else []
            seen.update(one for one in known if one is not None)
            deeper = expand(inner, folder, seen, local)
            kept += deeper.lines
            changes += deeper.changes
            folders += [source_folder(folder.path / path, path), *deeper.folders]
    return Expanded(tuple(kept), tuple(changes), tuple(dict.fromkeys(folders)))


def _by_path(line: Line, local: Mapping[str, str]) -> Line:
    """A line that names one of the project's own packages as the line that names its folder."""
    match = _NAMED.match(line.text)
    path = local.get(normalised(match["name"])) if match is not None else None
    if match is None or path is None or "@" in line.text.partition(";")[0]:
        return line
    return replace(line, text=f"-e {'.' if path == '.' else f'./{path}'}{match['extras'] or ''}")


def _extras(line: Line) -> list[str]:
    match = _LOCAL.fullmatch(line.text.partition(" #")[0].partition(" ;")[0].strip())
    return re.findall(r"[\w.-]+", match["extras"] or "") if match else []


def _own_folder(line: Line, folder: Folder) -> str | None:
    """The folder of the project, relative to it, that the line asks to install; None: it asks for something else."""
    match = _LOCAL.fullmatch(line.text.partition(" #")[0].partition(" ;")[0].strip())
    if match is None:
        return None
    asked = match["path"].replace("\\", "/")
    if not (asked.startswith(".") or line.text.startswith(("-e", "--editable")) or "/" in asked):
        return None
    path = posixpath.normpath(asked)
    if path.startswith("..") and line.text.startswith(("-e", "--editable", "..")) and is_folder(folder.path / path):
        raise ConfigurationError(
            f"{line.source} asks for {asked}, which lies outside the project",
            hint="only the project's own files come into the image: run shipml build on the folder that holds both,"
            " or copy it into the project",
        )
    return path if not path.startswith("..") and is_folder(folder.path / path) else None


def _dependencies(line: Line, folder: Folder, path: str) -> tuple[list[Line], Correction]:
    inner = open_folder(folder.path / path)
    prefix = "" if path == "." else f"{path}/"
    lines = [one for extra in _extras(line) for one in _extra(inner, extra)]
    for reader in _READERS:
        for name in reader.find(inner):
            found = reader.read(inner, name)
            lines = [*found.requirements, *lines]
            lines = [replace(one, source=f"{prefix}{one.source}") for one in lines]
            because = f"the project's own files are in the image as they are; {prefix}{name} says what they need"
            return lines, Correction("line", line.text, f"the dependencies of {prefix}{name}", because, line.source)
    if any(name in inner.names for name in _PROJECT_FILES):
        because = "the project's own files are in the image as they are, and it names no dependencies"
    else:
        because = "there is no project to install: no pyproject.toml, no setup.py"
    return lines, Correction("line", line.text, "", because, line.source)


def _extra(folder: Folder, extra: str) -> list[Line]:
    project = folder.pyproject.get("project", {})
    optional = project.get("optional-dependencies", {}) if isinstance(project, Mapping) else {}
    named = {normalised(name): entries for name, entries in optional.items()} if isinstance(optional, Mapping) else {}
    entries = named.get(normalised(extra), [])
    return [
        Line(one, f"pyproject.toml:{line_of_entry(folder.pyproject_text, one, extra)}")
        for one in (entries if isinstance(entries, list) else [])
        if isinstance(one, str)
    ]


def own_requirements(folder: Folder) -> tuple[str, ...]:
    """What the project in `folder` needs when it is installed, as it is written."""
    for reader in _READERS:
        for name in reader.find(folder):
            return tuple(line.text for line in reader.read(folder, name).requirements)
    return ()


def source_folder(folder: Path, path: str) -> str:
    """Where the packages of the project at `path` lie: its `src` where that has packages, else itself."""
    src = folder / "src"
    has_packages = src.is_dir() and not (src / "__init__.py").exists() and any(src.glob("*/__init__.py"))
    return posixpath.normpath(f"{path}/src") if has_packages else path
