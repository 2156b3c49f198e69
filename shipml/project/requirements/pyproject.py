"""pyproject.toml: PEP 621 dependencies, what groups and extras add, and Poetry's tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import IgnoredFile
from shipml.project.requirements.poetry import indexes, poetry_lines, poetry_python
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.requirements.requirements_txt import logical_lines
from shipml.project.text import line_of, read_any_text

__all__ = ["Pyproject", "line_of_entry", "uv_settings"]

FILE = "pyproject.toml"
_UV_KEYS = ("requires-python", "dependencies", "dynamic", "optional-dependencies")


class Pyproject:
    """pyproject.toml, where it names dependencies."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where [project] or [tool.poetry] says anything."""
        project, poetry = _table(folder.pyproject, "project"), _table(folder.pyproject, "tool", "poetry")
        declares = (
            "dependencies" in project or "dependencies" in _strings(project.get("dynamic")) or "dependencies" in poetry
        )
        return (FILE,) if declares else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its dependencies; groups and extras are ignored, and remembered for what the code turns out to need."""
        project = _table(folder.pyproject, "project")
        if "dependencies" not in project and "dependencies" not in _strings(project.get("dynamic")):
            return _poetry(folder)
        dynamic, texts = _dynamic(folder)
        needs_uv = _needs_uv(folder)
        kept = {key: project[key] for key in _UV_KEYS if key in project}
        offers, left_aside = _conditional(folder)
        return Found(
            path,
            "its [project] names the dependencies",
            requirements=(*_lines(folder, project.get("dependencies"), "dependencies"), *dynamic),
            offers=tuple(offers),
            left_aside=left_aside,
            texts=tuple(texts),
            inputs=(((FILE, _canonical(kept)),) if needs_uv else ()),
            as_it_stands=needs_uv,
        )


def uv_settings(folder: Folder) -> list[tuple[str, str]]:
    """What the project tells uv itself: its indexes, sources and constraints change what a name resolves to."""
    found = []
    if (text := read_any_text(folder.path, "uv.toml")) is not None:
        found.append(("uv.toml", text[0]))
    tool = folder.pyproject.get("tool", {})
    if isinstance(tool, Mapping) and "uv" in tool:
        found.append(("pyproject.toml [tool.uv]", _canonical(tool["uv"])))
    return found


def _needs_uv(folder: Folder) -> bool:
    """Whether lines cannot say it: sources by name, or dependencies that only the build backend knows."""
    if _table(folder.pyproject, "tool", "uv", "sources"):
        return True
    is_dynamic = "dependencies" in _strings(_table(folder.pyproject, "project").get("dynamic"))
    return is_dynamic and not _dynamic_files(folder)


def _dynamic_files(folder: Folder) -> list[str]:
    table = _table(folder.pyproject, "tool", "setuptools", "dynamic", "dependencies")
    files = table.get("file", [])
    return [files] if isinstance(files, str) else _strings(files)


def _dynamic(folder: Folder) -> tuple[list[Line], list[tuple[str, str]]]:
    """What setuptools reads: `dependencies = {file = [...]}`."""
    lines, texts = [], []
    for name in _dynamic_files(folder):
        found = read_any_text(folder.path, name)
        if found is not None:
            texts.append((name, found[0]))
            lines += [Line(text, f"{name}:{number}") for number, text in logical_lines(found[0])]
    return lines, texts


def _conditional(folder: Folder) -> tuple[list[Line], tuple[IgnoredFile, ...]]:
    """Extras (PEP 621) and groups (PEP 735): what they ask for, and that they are ignored."""
    offers: list[Line] = []
    left_aside = []
    project = _table(folder.pyproject, "project")
    for kind, table in (
        ("extra", project.get("optional-dependencies")),
        ("group", folder.pyproject.get("dependency-groups")),
    ):
        for name, entries in table.items() if isinstance(table, Mapping) else ():
            offers += _lines(folder, entries, name)
            left_aside.append(
                IgnoredFile(
                    f"{FILE} [{name}]",
                    f"it is an {kind} that nobody asked for"
                    if kind == "extra"
                    else "it is a group beside what the program needs",
                )
            )
    return offers, tuple(left_aside)


def _poetry(folder: Folder) -> Found:
    poetry = _table(folder.pyproject, "tool", "poetry")
    requirements, optional = poetry_lines(
        poetry.get("dependencies"), folder.pyproject_text, "[tool.poetry.dependencies"
    )
    offers, left_aside = list(optional), []
    groups = [("dev", "[tool.poetry.dev-dependencies", poetry.get("dev-dependencies"))]
    for name, group in _table(poetry, "group").items():
        groups.append((name, f"[tool.poetry.group.{name}.", _table(group).get("dependencies")))
    for name, header, table in groups:
        if isinstance(table, Mapping) and table:
            offers += poetry_lines(table, folder.pyproject_text, header)[0]
            left_aside.append(IgnoredFile(f"{FILE} [{name}]", "it is a group beside what the program needs"))
    return Found(
        FILE,
        "its [tool.poetry.dependencies] names them",
        requirements=tuple(requirements),
        options=tuple(indexes(poetry.get("source"), folder.pyproject_text, FILE)),
        offers=tuple(offers),
        left_aside=tuple(left_aside),
        python=poetry_python(poetry.get("dependencies"), folder.pyproject_text),
    )


def _lines(folder: Folder, entries: object, key: str) -> Iterator[Line]:
    for entry in _strings(entries):
        yield Line(entry.strip(), f"{FILE}:{line_of_entry(folder.pyproject_text, entry, key)}")


def line_of_entry(text: str, entry: str, key: str) -> int:
    """The line on which the string `entry` stands, at or after the line that begins with `key`."""
    start = line_of(text, key) if any(line.strip().startswith(key) for line in text.splitlines()) else 1
    for number, line in enumerate(text.splitlines(), start=1):
        if number >= start and (f'"{entry}"' in line or f"'{entry}'" in line):
            return number
    return start


def _table(document: object, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def python_of_poetry(folder: Folder) -> tuple[PythonEvidence, ...]:
    """`python = "^3.9"` of Poetry's dependencies."""
    return poetry_python(_table(folder.pyproject, "tool", "poetry").get("dependencies"), folder.pyproject_text)
