"""setup.cfg and setup.py: read, never run. Of setup.py only what is written as literals can be told."""

from __future__ import annotations

import ast
import configparser
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from shipml.errors import ConfigurationError
from shipml.facts.project import PythonEvidence
from shipml.folders import is_file
from shipml.formats import load_ini
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.requirements.requirements_txt import logical_lines
from shipml.project.text import line_of, read_any_text

__all__ = ["SetupCfg", "SetupPy", "setup_arguments"]

_LONGEST = 128 << 10
"""Characters of a setup.py that is read as code."""


class SetupCfg:
    """setup.cfg with [options] install_requires."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where it names dependencies."""
        return ("setup.cfg",) if "setup.cfg" in folder.names and _options(folder).get("install_requires") else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its install_requires."""
        found = read_any_text(folder.path, path)
        text = found[0] if found is not None else ""
        options = _options(folder)
        start = line_of(text, "install_requires")
        lines = []
        for _, requirement in logical_lines(options.get("install_requires", "")):
            number = next(
                (at for at, line in enumerate(text.splitlines(), 1) if at >= start and requirement in line), start
            )
            lines.append(Line(requirement, f"{path}:{number}"))
        python = options.get("python_requires", "").strip()
        evidence = (PythonEvidence(python, f"{path}:{line_of(text, 'python_requires')}", "range"),) if python else ()
        return Found(path, "it is what pip install . takes", tuple(lines), texts=((path, text),), python=evidence)


def _options(folder: Folder) -> dict[str, str]:
    found = read_any_text(folder.path, "setup.cfg")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        load_ini(parser, found[0] if found is not None else "")
    except configparser.Error as error:
        raise ConfigurationError(f"setup.cfg cannot be read: {error.message}", hint="correct setup.cfg") from error
    return dict(parser["options"]) if parser.has_section("options") else {}


class SetupPy:
    """setup.py with install_requires."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where it calls setup() with dependencies."""
        if "setup.py" not in folder.names:
            return ()
        return ("setup.py",) if self.read(folder, "setup.py").requirements else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its install_requires, as far as it is made of literals and of requirements files that it opens."""
        found = read_any_text(folder.path, path)
        text = found[0] if found is not None else ""
        try:
            tree = ast.parse(text if len(text) <= _LONGEST else "")
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: too many brackets in brackets
            return Found(path, "it is what pip install . takes", texts=((path, text),))
        reading = _SetupCall(folder, path, tree, text)
        return Found(
            path,
            "it is what pip install . takes",
            tuple(reading.requirements()),
            texts=((path, text),),
            python=tuple(reading.python()),
        )


def setup_arguments(folder: Path) -> dict[str, object]:
    """What setup.py calls setup() with, as far as it is written as literals; nothing without such a file."""
    found = read_any_text(folder, "setup.py") if (folder / "setup.py").is_file() else None
    try:
        tree = ast.parse(found[0] if found is not None and len(found[0]) <= _LONGEST else "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: too many brackets in brackets
        return {}
    names = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    said: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "setup":
            for keyword in node.keywords:
                value = names.get(keyword.value.id) if isinstance(keyword.value, ast.Name) else keyword.value
                with contextlib.suppress(ValueError, TypeError):
                    said[keyword.arg or ""] = ast.literal_eval(value) if value is not None else None
    return {name: value for name, value in said.items() if value is not None}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


class _SetupCall:
    """The call of setup() in a tree, and the names that its arguments go by."""

    def __init__(self, folder: Folder, path: str, tree: ast.Module, text: str) -> None:
        self._folder = folder
        self._path = path
        self._names: dict[str, ast.expr] = {}
        self._keywords: dict[str, ast.expr] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._names[node.targets[0].id] = node.value
            elif isinstance(node, ast.Call) and _name(node.func) == "setup":
                self._keywords |= {one.arg: one.value for one in node.keywords if one.arg}
        self._text = text

    def requirements(self) -> Iterator[Line]:
        """The lines of install_requires."""
        value = self._value(self._keywords.get("install_requires"))
        if value is None:
            return
        if isinstance(value, ast.List | ast.Tuple | ast.Set):
            for one in value.elts:
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    yield Line(one.value.strip(), f"{self._path}:{one.lineno}")
        elif file := self._file_that_is_read():
            found = read_any_text(self._folder.path, file)
            for number, line in logical_lines(found[0] if found is not None else ""):
                if not line.startswith("-"):
                    yield Line(line, f"{file}:{number}")

    def python(self) -> Iterator[PythonEvidence]:
        """python_requires."""
        value = self._value(self._keywords.get("python_requires"))
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.strip():
            yield PythonEvidence(value.value.strip(), f"{self._path}:{value.lineno}", "range")

    def _value(self, node: ast.expr | None) -> ast.expr | None:
        for _ in range(len(self._names) + 1):
            if not isinstance(node, ast.Name):
                break
            node = self._names.get(node.id)
        return node

    def _file_that_is_read(self) -> str:
        """install_requires=open("requirements.txt").read().split(), and its many relatives: the file that is named."""
        match = re.search(r"['\"]([\w./-]*req[\w.-]*\.(?:txt|in))['\"]", self._text)
        return match[1] if match and is_file(self._folder.path / match[1]) else ""
