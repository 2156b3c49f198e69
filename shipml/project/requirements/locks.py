"""Lock files of other tools: the exact versions, taken as constraints on what their project file asks for.

uv resolves once more, within them: which of the locked packages this platform and Python need, and which wheel of each.
The hashes that the lock states bind what is taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from shipml.errors import ConfigurationError
from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import StatedHashes
from shipml.project.data import normalised
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.requirements.stated_hashes import hashes_by_name, hashes_of_package
from shipml.project.text import line_of, parse_toml, read_text

__all__ = ["LockAlone", "LockedVersions", "find_lock", "read_lock"]


@dataclass(frozen=True, slots=True)
class LockedVersions:
    """What a lock file pins."""

    path: str
    lines: tuple[Line, ...]
    """`NAME==VERSION`, with a marker where the lock has several."""
    text: str
    python: tuple[PythonEvidence, ...] = ()
    hashes: tuple[StatedHashes, ...] = ()


_OF = {
    "requirements.txt": ("pylock.toml",),
    "pyproject.toml": ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"),
    "Pipfile": ("Pipfile.lock",),
}


class LockAlone:
    """A lock without the file that it was made from: all that it pins is asked for."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """The locks whose project files are not there."""
        alone = {"pylock.toml": "pyproject.toml", "Pipfile.lock": "Pipfile", "poetry.lock": "pyproject.toml"}
        return tuple(
            name
            for name, declares in alone.items()
            if name in folder.names and declares not in folder.names and not _is_ours(folder, name)
        )

    def read(self, folder: Folder, path: str) -> Found:
        """Its versions, as requirements."""
        locked = read_lock(folder, path)
        because = "no other file says what the project asks for"
        return Found(
            path, because, locked.lines, texts=((path, locked.text),), python=locked.python, hashes=locked.hashes
        )


def _is_ours(folder: Folder, name: str) -> bool:
    """Whether shipml wrote it: the resolver reads that itself."""
    return name == "pylock.toml" and "[tool.shipml]" in (read_text(folder.path, name) or "")


def find_lock(folder: Folder, path: str) -> str:
    """The lock file that belongs to the project file `path`; "" where there is none (or only shipml's own)."""
    for name in _OF.get(path, ()):
        if name in folder.names and not _is_ours(folder, name):
            return name
    return ""


def read_lock(folder: Folder, path: str) -> LockedVersions:
    """The versions in the lock file `path`.

    Raises:
        ConfigurationError: it is damaged.
    """
    text = read_text(folder.path, path) or ""
    if path == "Pipfile.lock":
        return _pipfile_lock(text, path)
    document = parse_toml(path, text)
    packages = document.get("packages" if path == "pylock.toml" else "package")
    pinned = _tables(packages, path)
    numbers = _line_numbers(text)
    lines = tuple(_unambiguous(pinned, numbers, path))
    hashes = tuple(_stated(document, pinned, numbers, path))
    return LockedVersions(path, lines, text, tuple(_python(document, text, path)), hashes)


def _tables(packages: object, path: str) -> list[Mapping[str, Any]]:
    """The packages of a lock; a lock of nothing may lack them.

    Raises:
        ConfigurationError: one of them is not a table.
    """
    if packages is None:
        return []
    odd = (
        packages
        if not isinstance(packages, list)
        else next((one for one in packages if not isinstance(one, dict)), None)
    )
    if odd is not None:
        raise ConfigurationError(
            f"{path} is damaged: {odd!r:.60} is where the table of a package should be",
            hint=f"write {path} again with the tool that made it",
        )
    return list(cast("list[Mapping[str, Any]]", packages))


def _stated(
    document: Mapping[str, Any], packages: list[Mapping[str, Any]], numbers: Mapping[str, list[int]], path: str
) -> Iterator[StatedHashes]:
    apart = hashes_by_name(document)
    for package in packages:
        name = str(package.get("name", ""))
        if hashes := (*hashes_of_package(package), *apart.get(name, ())):
            yield StatedHashes(normalised(name), f"{path}:{numbers.get(name, [1])[0]}", hashes)


def _unambiguous(packages: list[Mapping[str, Any]], numbers: Mapping[str, list[int]], path: str) -> Iterator[Line]:
    by_name: dict[str, dict[str, list[tuple[str, int]]]] = {}
    left: dict[str, list[int]] = {}
    for package in packages:
        name, version = package.get("name"), package.get("version")
        if not isinstance(name, str) or not isinstance(version, str) or not _from_index(package):
            continue
        places = left.setdefault(name, list(numbers.get(name, [1])))
        number = places.pop(0) if len(places) > 1 else places[0]
        by_name.setdefault(name, {}).setdefault(version, []).append((_marker(package), number))
    for name, versions in by_name.items():
        for version, uses in versions.items():
            marker = " or ".join(f"({one})" for one, _ in uses) if all(one for one, _ in uses) else ""
            if len(versions) > 1 and not marker:
                continue
            suffix = f" ; {marker}" if len(versions) > 1 else ""
            yield Line(f"{name}=={version}{suffix}", f"{path}:{uses[0][1]}")


def _from_index(package: Mapping[str, Any]) -> bool:
    """Whether it is of an index, by version: not the project itself, a folder, a repository or a URL."""
    source = package.get("source")
    if isinstance(source, Mapping):
        return "registry" in source or str(source.get("type", "")) == "legacy"
    return not any(key in package for key in ("git", "url", "path", "directory", "vcs", "archive"))


def _marker(package: Mapping[str, Any]) -> str:
    markers = package.get("resolution-markers")
    if isinstance(markers, list):
        return " or ".join(f"({one})" for one in markers)
    for key in ("markers", "marker"):
        if isinstance(package.get(key), str):
            return str(package[key])
    return ""


def _line_numbers(text: str) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("name = "):
            numbers.setdefault(line.partition("=")[2].strip().strip("\"'"), []).append(number)
    return numbers


def _python(document: Mapping[str, Any], text: str, path: str) -> Iterator[PythonEvidence]:
    metadata = document.get("metadata")
    values = {
        "requires-python": document.get("requires-python"),
        "python-versions": metadata.get("python-versions") if isinstance(metadata, Mapping) else None,
        "requires_python": metadata.get("requires_python") if isinstance(metadata, Mapping) else None,
    }
    convert: Callable[[str], str] = str
    for key, value in values.items():
        if isinstance(value, str) and value.strip("* "):
            if key == "python-versions":
                from shipml.project.requirements.poetry import specifier

                convert = specifier
            yield PythonEvidence(convert(value), f"{path}:{line_of(text, key)}", "range")


def _pipfile_lock(text: str, path: str) -> LockedVersions:
    try:
        document = json.loads(text)
        packages = dict(document["default"])
        requires = dict(document["_meta"].get("requires") or {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is damaged", hint="write it again: pipenv lock") from error
    numbers = {line.strip().partition(":")[0].strip('"'): at for at, line in enumerate(text.splitlines(), start=1)}
    lines = tuple(
        Line(f"{name}{entry['version']}", f"{path}:{numbers.get(name, 1)}")
        for name, entry in packages.items()
        if isinstance(entry, dict) and isinstance(entry.get("version"), str)
    )
    version = requires.get("python_full_version", requires.get("python_version"))
    python = (PythonEvidence(str(version), f"{path}:{numbers.get('python_version', 1)}", "version"),) if version else ()
    hashes = tuple(
        StatedHashes(normalised(name), f"{path}:{numbers.get(name, 1)}", stated)
        for name, entry in packages.items()
        if isinstance(entry, dict) and (stated := hashes_of_package(entry))
    )
    return LockedVersions(path, lines, text, python, hashes)
