"""`RUN pip install …` of a Dockerfile: all that some projects say of their dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shipml.dockerfile_text import parse_dockerfile
from shipml.project.inputs.base import Folder, Found, Line
from shipml.project.text import read_any_text

__all__ = ["DockerfileInstalls"]

FILE = "Dockerfile"
_COMMAND = re.compile(r"(?:python[\d.]*\s+-m\s+)?(?:uv\s+)?pip[\d.]*\s+install\s+(?P<rest>.+)")
_OPTION = re.compile(
    r"(?:-r|-c|-f|-i|--requirement|--index-url|--extra-index-url|--find-links)[ =]\s*\S+|-{1,2}[\w-]+(?:=\S+)?"
)
_INSTALLERS = {"pip", "setuptools", "wheel", "uv"}


class DockerfileInstalls:
    """The Dockerfile at the top of the project, where it installs packages by name."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where no requirements file is all that it installs."""
        return (FILE,) if FILE in folder.names and any(_lines(_text(folder))) else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its commands, as requirements."""
        text = _text(folder)
        because = "no other file names dependencies, and it installs some by name"
        return Found(path, because, tuple(_lines(text)), texts=((path, text),))


def _text(folder: Folder) -> str:
    found = read_any_text(folder.path, FILE)
    return found[0] if found is not None else ""


def _lines(text: str) -> Iterator[Line]:
    """Each command that installs packages by name."""
    for instruction in parse_dockerfile(text).instructions:
        for command in re.split(r"&&|;|\|\|", instruction.rest) if instruction.keyword == "RUN" else ():
            match = _COMMAND.fullmatch(command.strip())
            packages = _OPTION.sub(" ", match["rest"]).split() if match else []
            if set(packages) - _INSTALLERS and "$" not in command and packages != ["."]:
                yield Line(command.strip(), f"{FILE}:{instruction.first_line + 1}")
