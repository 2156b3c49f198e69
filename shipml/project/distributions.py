"""The project as a distribution: name, version, entry points, read from its files; nothing of it is run."""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shipml.facts.project import Distribution
from shipml.facts.requirements import Requirements
from shipml.formats import load_ini
from shipml.project.requirements.own_project import open_folder, own_requirements, source_folder
from shipml.project.requirements.reader import Folder
from shipml.project.requirements.setup_files import setup_arguments
from shipml.project.text import read_any_text
from shipml.project.versions import Versions

__all__ = ["find_distributions"]

_COMPILING = ("maturin", "scikit_build_core", "mesonpy", "setuptools_rust", "cmake_build_extension")


def find_distributions(
    folder: Folder, declared: Requirements | None, paths: Collection[str]
) -> tuple[Distribution, ...]:
    """The project itself where it can be installed, then the folders of it that are asked for.

    Args:
        folder: the project.
        declared: what it asks for.
        paths: of its files that go into the image.

    Raises:
        BuildError: a folder cannot be read.
    """
    asked = declared.source_folders if declared is not None else ()
    folders = [".", *(one.removesuffix("/src") for one in asked if one != "src")]
    found = (_distribution(folder, path, paths) for path in dict.fromkeys(folders))
    return tuple(one for one in found if one is not None)


def _distribution(project: Folder, path: str, paths: Collection[str]) -> Distribution | None:
    folder = project if path == "." else open_folder(project.path / path)
    prefix = "" if path == "." else f"{path}/"
    table = _table(folder.pyproject, "project")
    poetry = _table(folder.pyproject, "tool", "poetry")
    setup = {**setup_arguments(folder.path), **_setup_cfg(folder)}
    uv = _table(folder.pyproject, "tool", "uv")
    if uv.get("package") is False or poetry.get("package-mode") is False:
        return None
    name = table.get("name") or poetry.get("name") or setup.get("name")
    if not isinstance(name, str) or not name.strip():
        return None
    is_setup = not table and not poetry
    sources = source_folder(folder.path, path)
    versions = Versions(folder, posixpath.relpath(sources, path), setup)
    return Distribution(
        name=name.strip(),
        version=versions.version(),
        source=prefix + (("setup.py" if "setup.py" in folder.names else "setup.cfg") if is_setup else "pyproject.toml"),
        source_folder=sources,
        summary=_line(table.get("description") or poetry.get("description")),
        requires_python=_line(table.get("requires-python")),
        requirements=own_requirements(folder),
        entry_points=tuple(sorted(set(_entry_points(table, poetry, setup)))),
        version_files=tuple(prefix + one for one in versions.files() if prefix + one not in paths),
        lacks=_lacks(folder, prefix, paths),
    )


def _table(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: object = document
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _line(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _entry_points(
    table: Mapping[str, Any], poetry: Mapping[str, Any], setup: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    groups: list[tuple[str, object]] = [
        ("console_scripts", table.get("scripts")),
        ("gui_scripts", table.get("gui-scripts")),
        ("console_scripts", poetry.get("scripts")),
        *_table(table, "entry-points").items(),
        *_table(poetry, "plugins").items(),
    ]
    written = setup.get("entry_points")
    groups += _ini(written).items() if isinstance(written, str) else _table(setup, "entry_points").items()
    for group, entries in groups:
        for name, target in _pairs(entries):
            if name and re.fullmatch(r"[\w.]+(?::[\w.]+)?(?:\s*\[[^\]]*\])?", target):
                yield group, name, target


def _pairs(entries: object) -> Iterator[tuple[str, str]]:
    """Name and target from a table, from a list of `name = target`, or from such lines."""
    if isinstance(entries, Mapping):
        for name, value in entries.items():
            target = value.get("reference", value.get("callable")) if isinstance(value, Mapping) else value
            if isinstance(target, str):
                yield str(name).strip(), target.strip()
        return
    lines = entries.splitlines() if isinstance(entries, str) else entries
    for line in lines if isinstance(lines, list | tuple) else ():
        name, equals, target = str(line).partition("=")
        if equals:
            yield name.strip(), target.strip()


def _ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        load_ini(parser, text)
    except configparser.Error:
        return {}
    return {name: dict(parser[name]) for name in parser.sections()}


def _setup_cfg(folder: Folder) -> dict[str, Any]:
    """name, version and entry_points of setup.cfg, as setup() takes them."""
    if "setup.cfg" not in folder.names:
        return {}
    found = read_any_text(folder.path, "setup.cfg")
    sections = _ini(found[0] if found is not None else "")
    metadata = sections.get("metadata", {})
    said = {name: metadata[name] for name in ("name", "version") if metadata.get(name)}
    points = sections.get("options.entry_points")
    return {**said, **({"entry_points": points} if points else {})}


def _lacks(folder: Folder, prefix: str, paths: Collection[str]) -> str:
    """What only a build would make."""
    backend = str(_table(folder.pyproject, "build-system").get("build-backend", "")).partition(".")[0]
    if backend in _COMPILING:
        return f"{backend} would compile a part of it"
    sources = sorted(one for one in paths if one.startswith(prefix) and one.endswith((".pyx", ".pxd")))
    if sources:
        return f"{sources[0]} would be compiled"
    found = read_any_text(folder.path, "setup.py") if "setup.py" in folder.names else None
    if found is not None and re.search(r"\bext_modules\s*=|\bcythonize\(", found[0]):
        return "setup.py would compile a part of it"
    return ""
