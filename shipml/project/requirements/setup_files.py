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
from shipml.project.setup_call import setup_keywords
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
        reading = _SetupCall(folder, path, text)
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
    said: dict[str, object] = {}
    for keyword, value in setup_keywords(found[0] if found is not None else "").items():
        with contextlib.suppress(ValueError, TypeError):
            said[keyword] = ast.literal_eval(value)
    return {name: value for name, value in said.items() if value is not None}


class _SetupCall:
    """The call of setup() in a setup.py."""

    def __init__(self, folder: Folder, path: str, text: str) -> None:
        self._folder = folder
        self._path = path
        self._keywords = setup_keywords(text)
        self._text = text

    def requirements(self) -> Iterator[Line]:
        """The lines of install_requires."""
        value = self._keywords.get("install_requires")
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
        value = self._keywords.get("python_requires")
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.strip():
            yield PythonEvidence(value.value.strip(), f"{self._path}:{value.lineno}", "range")

    def _file_that_is_read(self) -> str:
        """install_requires=open("requirements.txt").read().split(), and its many relatives: the file that is named."""
        match = re.search(r"['\"]([\w./-]*req[\w.-]*\.(?:txt|in))['\"]", self._text)
        return match[1] if match and is_file(self._folder.path / match[1]) else ""
