"""Pipfile (github.com/pypa/pipfile): [packages] for the program, [dev-packages] beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipml.plan.declared import LeftAside
from shipml.plan.facts import PythonEvidence
from shipml.project.inputs.base import Folder, Found
from shipml.project.inputs.poetry import indexes, poetry_lines
from shipml.project.text import line_of, parse_toml, read_text

__all__ = ["Pipfile"]

FILE = "Pipfile"


class Pipfile:
    """Pipfile at the top of the project."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where it is there."""
        return (FILE,) if FILE in folder.names else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its packages and indexes."""
        text = read_text(folder.path, path) or ""
        document = parse_toml(path, text)
        requirements, optional = poetry_lines(document.get("packages"), text, "[packages", path)
        offers, _ = poetry_lines(document.get("dev-packages"), text, "[dev-packages", path)
        return Found(
            path,
            "it is what pipenv installs",
            requirements=tuple(requirements),
            options=tuple(indexes(document.get("source"), text, path)),
            offers=(*optional, *offers),
            left_aside=(LeftAside(f"{path} [dev-packages]", "they are for development"),) if offers else (),
            texts=((path, text),),
            python=_python(document, text),
        )


def _python(document: Mapping[str, Any], text: str) -> tuple[PythonEvidence, ...]:
    requires = document.get("requires")
    for key in ("python_full_version", "python_version"):
        value = requires.get(key) if isinstance(requires, Mapping) else None
        if isinstance(value, str):
            return (PythonEvidence(value, f"{FILE}:{line_of(text, key)}", "version"),)
    return ()
