"""`RUN pip install …` of a Dockerfile: all that some projects say of their dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
    for number, instruction in _instructions(text):
        words = instruction.split(maxsplit=1)
        if not words or words[0].upper() != "RUN" or len(words) == 1:
            continue
        for command in re.split(r"&&|;|\|\|", words[1]):
            match = _COMMAND.fullmatch(command.strip())
            packages = _OPTION.sub(" ", match["rest"]).split() if match else []
            if set(packages) - _INSTALLERS and "$" not in command and packages != ["."]:
                yield Line(command.strip(), f"{FILE}:{number}")


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """(first line, instruction) with continued lines joined and comments gone."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        start = start if pending else number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        yield start, (pending + line).strip()
        pending = ""
