"""environment.yml: conda's environments, in the terms of a package index.

Channels have no counterpart; what is not a Python package is dropped with its reason; `python=` is evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipml.errors import ConfigurationError
from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import Correction, IgnoredFile
from shipml.project.corrections.conda_names import index_name, is_version
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.requirements.requirements_txt import read_requirements_file
from shipml.project.text import read_any_text

if TYPE_CHECKING:
    from yaml import Node

__all__ = ["CondaEnvironment", "conda_lines"]

_STEMS = ("environment", "conda", "env", "conda_env", "conda-env", "conda_environment")
_FILES = tuple(f"{stem}.{ending}" for stem in _STEMS for ending in ("yml", "yaml"))
_SPEC = re.compile(r"(?:(?P<channel>[\w./-]+)::)?(?P<name>[\w.-]+)\s*(?:\[[^\]]*\])?\s*(?P<version>[=<>!~\s].*)?")
_EXACT = re.compile(r"={1,2}\s*(?P<version>[\w.!+-]+)(?:=(?P<build>\S+))?")
_USUAL = {
    "defaults",
    "conda-forge",
    "anaconda",
    "main",
    "nodefaults",
    "pytorch",
    "nvidia",
    "r",
    "bioconda",
    "fastai",
    "huggingface",
}
_THREE = 3


class CondaEnvironment:
    """environment.yml and what it is also called."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """Those there are, the usual name first."""
        return tuple(name for name in _FILES if name in folder.names)

    def read(self, folder: Folder, path: str) -> Found:
        """Its dependencies by their names on the index, its pip section, its Python."""
        found = read_any_text(folder.path, path)
        text = found[0] if found is not None else ""
        reading = _Reading(folder, path)
        reading.take(_document(text, path))
        return Found(
            path,
            "it is what conda env create takes",
            requirements=tuple(reading.requirements),
            constraints=tuple(reading.constraints),
            options=tuple(reading.options),
            changes=tuple(reading.changes),
            left_aside=tuple(reading.left_aside),
            texts=((path, text), *reading.texts),
            python=tuple(reading.python),
        )


def conda_lines(packages: Sequence[tuple[str, int]], file: str) -> tuple[Line, ...]:
    """What `conda install` names, by the names of the index: (package, line of `file`)."""
    reading = _Reading(Folder(Path(), ()), file)
    for text, line in packages:
        reading.take_package(text, line)
    return tuple(reading.requirements)


@dataclass(slots=True)
class _Reading:
    """What is gathered from one file."""

    folder: Folder
    path: str
    requirements: list[Line] = field(default_factory=list)
    constraints: list[Line] = field(default_factory=list)
    options: list[Line] = field(default_factory=list)
    changes: list[Correction] = field(default_factory=list)
    left_aside: list[IgnoredFile] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    python: list[PythonEvidence] = field(default_factory=list)

    def take(self, root: Node | None) -> None:
        for key, value in _pairs(root):
            if key == "dependencies":
                self._dependencies(value)
            elif key == "channels":
                self._channels(value)

    def take_package(self, text: str, line: int) -> None:
        """One package as `conda install` takes it."""
        self._dependency(text, f"{self.path}:{line}")

    def _channels(self, node: Node) -> None:
        names = [text for text, _ in _scalars(node)]
        if unusual := [name for name in names if name not in _USUAL]:
            because = "packages come from the index, not from channels of conda"
            self.left_aside.append(IgnoredFile(f"{self.path} [channels: {', '.join(unusual)}]", because))

    def _dependencies(self, node: Node) -> None:
        for item in _items(node):
            for key, value in _pairs(item):
                if key == "pip":
                    self._pip(value)
            for text, line in _scalars_of(item):
                self._dependency(text, f"{self.path}:{line}")

    def _pip(self, node: Node) -> None:
        for text, line in _scalars(node):
            source = f"{self.path}:{line}"
            include = re.fullmatch(r"(?:-r|--requirement)[ =]*(\S.*)", text)
            if include is not None:
                inner = read_requirements_file(self.folder, include[1], "")
                if not inner.texts:
                    raise ConfigurationError(
                        f"{source} includes {include[1]}, which is not there",
                        hint=f"add {include[1]}, or remove the line",
                    )
                self.requirements += inner.requirements
                self.constraints += inner.constraints
                self.options += inner.options
                self.changes += inner.changes
                self.texts += inner.texts
            elif text.startswith("--"):
                self.options.append(Line(text, source))
            else:
                self.requirements.append(Line(text, source))

    def _dependency(self, text: str, source: str) -> None:
        match = _SPEC.fullmatch(text.strip())
        if match is None:
            self.requirements.append(Line(text, source))
            return
        name, version = match["name"], (match["version"] or "").strip()
        if name.lower() == "python":
            self.python += _python(version, source)
            return
        if name.lower() in {"pip", "wheel"}:
            return  # conda itself asks for pip where there is a pip section: the program does not
        self._package(name, version, text, source)

    def _package(self, name: str, version: str, text: str, source: str) -> None:
        found = index_name(name, version.lstrip("=").partition("=")[2])
        if not found.name:
            self.changes.append(Correction("dropped", text, "", found.because, source))
            return
        new_name = found.name
        specifier, is_exact = _specifier(version if found.counts_alike else "")
        if specifier.startswith("==") and not is_version(specifier):
            because = f"{specifier.lstrip('=<>!~')} is not a version that an index can have"
            self.changes.append(Correction("version", text, new_name, because, source))
            self.requirements.append(Line(new_name, source))
            return
        if new_name == "opencv-python-headless" and is_exact:
            specifier += "" if specifier.endswith(".*") else ".*"
        self.requirements.append(Line(f"{new_name}{specifier}", source))
        if new_name.lower() != name.lower():
            because = "that is what the index calls it"
            self.changes.append(Correction("name", text, f"{new_name}{specifier}", because, source))


def _specifier(version: str) -> tuple[str, bool]:
    """Conda's match specification as PEP 440 writes it, and whether it pins.

    There `=1.2` means 1.2.*; `==1.2`, and `=1.2` with a build, mean that version.
    """
    if not version or version == "*":
        return "", False
    match = _EXACT.fullmatch(version)
    if match is None:
        bare = re.sub(r"\s+", "", version).split("=py")[0]
        return (f"=={bare}" if bare and bare[0] not in "<>=!~" else bare), False
    exact = version.startswith("==") or match["build"] or match["version"].count(".") >= _THREE - 1
    number = match["version"].removesuffix(".*")
    return f"=={number}" if exact and not match["version"].endswith("*") else f"=={number}.*", True


def _python(version: str, source: str) -> Iterator[PythonEvidence]:
    specifier, _ = _specifier(version)
    if re.fullmatch(r"==\d+\.\d+(?:\.\d+)?(?:\.\*)?", specifier):
        yield PythonEvidence(specifier.removeprefix("==").removesuffix(".*"), source, "version")
    elif specifier and specifier not in {"==3.*", "==2.*"}:
        yield PythonEvidence(specifier, source, "range")


def _document(text: str, path: str) -> Node | None:
    """The tree of nodes, each with its line: nothing is constructed."""
    import yaml

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise ConfigurationError(f"{path}{where} is not valid YAML: {problem}", hint=f"correct {path}") from error


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - yaml's nodes carry no types
    """Keys and values of a mapping; nothing for another node."""
    if getattr(node, "id", "") == "mapping":
        yield from ((str(key.value), value) for key, value in node.value)


def _items(node: Any) -> list[Any]:  # noqa: ANN401
    return list(node.value) if getattr(node, "id", "") == "sequence" else []


def _scalars(node: Any) -> Iterator[tuple[str, int]]:  # noqa: ANN401
    """(text, line) of the plain items of a list."""
    for item in _items(node):
        yield from _scalars_of(item)


def _scalars_of(item: Any) -> Iterator[tuple[str, int]]:  # noqa: ANN401
    if getattr(item, "id", "") == "scalar" and item.value:
        yield str(item.value), item.start_mark.line + 1
