"""pyproject.toml: PEP 621 dependencies, what groups and extras add, and Poetry's tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import IgnoredFile
from shipml.project.data import normalised
from shipml.project.requirements.poetry import indexes, poetry_lines, poetry_python
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.requirements.requirements_txt import logical_lines
from shipml.project.text import line_of, read_any_text

__all__ = ["Pyproject", "known_choices", "line_of_entry", "uv_settings"]

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
        """Its dependencies, with what is wanted of extras and groups; the others are remembered: code may need them."""
        project = _table(folder.pyproject, "project")
        if "dependencies" not in project and "dependencies" not in _strings(project.get("dynamic")):
            return _poetry(folder)
        dynamic, texts = _dynamic(folder)
        needs_uv = _needs_uv(folder)
        kept = {key: project[key] for key in _UV_KEYS if key in project}
        kept |= {"chosen": [folder.extras, folder.groups]} if folder.extras or folder.groups else {}
        wanted, offers, left_aside = _conditional(folder)
        return Found(
            path,
            "its [project] names the dependencies",
            requirements=(*_lines(folder, project.get("dependencies"), "dependencies"), *dynamic, *wanted),
            offers=tuple(offers),
            left_aside=left_aside,
            texts=tuple(texts),
            inputs=(((FILE, _canonical(kept)),) if needs_uv else ()),
            as_it_stands=needs_uv,
            uv_choices=(
                *(part for name in folder.extras for part in ("--extra", name)),
                *(part for name in folder.groups for part in ("--group", name)),
            ),
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


def _conditional(folder: Folder) -> tuple[list[Line], list[Line], tuple[IgnoredFile, ...]]:
    """Extras (PEP 621) and groups (PEP 735): what is wanted of them, what the others ask for, and their names."""
    wanted: list[Line] = []
    offers: list[Line] = []
    left_aside = []
    project = _table(folder.pyproject, "project")
    groups = _table(folder.pyproject, "dependency-groups")
    for kind, table, asked in (
        ("extra", project.get("optional-dependencies"), folder.extras),
        ("group", groups, folder.groups),
    ):
        for name, entries in table.items() if isinstance(table, Mapping) else ():
            lines = [*_lines(folder, entries, name), *_included(folder, entries, groups, {name})]
            if normalised(name) in asked:
                wanted += lines
                continue
            offers += lines
            because = "an extra that nobody asked for" if kind == "extra" else "a group beside what the program needs"
            left_aside.append(IgnoredFile(f"{FILE} [{name}]", f"it is {because}"))
    return wanted, offers, tuple(left_aside)


def _included(folder: Folder, entries: object, groups: Mapping[str, Any], seen: set[str]) -> Iterator[Line]:
    """What `{include-group = "x"}` brings along."""
    for entry in entries if isinstance(entries, list) else ():
        name = entry.get("include-group") if isinstance(entry, Mapping) else None
        if isinstance(name, str) and name in groups and name not in seen:
            yield from _lines(folder, groups[name], name)
            yield from _included(folder, groups[name], groups, {*seen, name})


def known_choices(folder: Folder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The extras and the groups that pyproject.toml has, normalised and sorted."""
    poetry = _table(folder.pyproject, "tool", "poetry")
    extras = {*_table(folder.pyproject, "project", "optional-dependencies"), *_table(poetry, "extras")}
    groups = {*_table(folder.pyproject, "dependency-groups"), *_table(poetry, "group")}
    groups |= {"dev"} if "dev-dependencies" in poetry else set()
    return tuple(sorted(map(normalised, extras))), tuple(sorted(map(normalised, groups)))


def _poetry(folder: Folder) -> Found:
    poetry = _table(folder.pyproject, "tool", "poetry")
    requirements, optional = poetry_lines(
        poetry.get("dependencies"), folder.pyproject_text, "[tool.poetry.dependencies"
    )
    extras = _table(poetry, "extras")
    chosen = {normalised(one) for name in extras if normalised(name) in folder.extras for one in _strings(extras[name])}
    wanted = [line for line in optional if normalised(re.split(r"[^\w.-]", line.text)[0]) in chosen]
    offers, left_aside = [line for line in optional if line not in wanted], []
    groups = [("dev", "[tool.poetry.dev-dependencies", poetry.get("dev-dependencies"))]
    for name, group in _table(poetry, "group").items():
        groups.append((name, f"[tool.poetry.group.{name}.", _table(group).get("dependencies")))
    for name, header, table in groups:
        if isinstance(table, Mapping) and table and normalised(name) in folder.groups:
            wanted += poetry_lines(table, folder.pyproject_text, header)[0]
        elif isinstance(table, Mapping) and table:
            offers += poetry_lines(table, folder.pyproject_text, header)[0]
            left_aside.append(IgnoredFile(f"{FILE} [{name}]", "it is a group beside what the program needs"))
    return Found(
        FILE,
        "its [tool.poetry.dependencies] names them",
        requirements=(*requirements, *wanted),
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
