"""What a Dockerfile that is followed installs with pip: its files and lines together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from shipml.dockerfile.names import find_dockerfile
from shipml.dockerfile.text import parse_dockerfile
from shipml.errors import ConfigurationError
from shipml.facts.dockerfile import FollowedDockerfile
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.requirements.requirements_txt import read_requirements_file
from shipml.project.text import read_any_text

__all__ = ["DockerfileInstalls", "read_dockerfile"]


def read_dockerfile(folder: Folder, dockerfile: FollowedDockerfile) -> Found | None:
    """All that its `pip install`s name; None where there is none.

    Raises:
        ConfigurationError: a file that it installs is not there, or cannot be read.
    """
    file = dockerfile.file
    lines = tuple(Line(text, f"{file}:{line}") for text, line in dockerfile.requirements)
    if not lines and not dockerfile.requirement_files:
        return None
    files = dict.fromkeys(path for path, _ in dockerfile.requirement_files)
    found = Found(next(iter(files), file), "the Dockerfile installs it")
    for path in files:
        one = read_requirements_file(folder, path, "")
        if not one.texts:
            line = next(line for name, line in dockerfile.requirement_files if name == path)
            raise ConfigurationError(
                f"{file}:{line} installs {path}, which is not in the project",
                hint=f"add {path}, or correct the line; to build without the Dockerfile: --no-dockerfile",
            )
        found = replace(
            found,
            requirements=(*found.requirements, *one.requirements),
            constraints=(*found.constraints, *one.constraints),
            options=(*found.options, *one.options),
            changes=(*found.changes, *one.changes),
            texts=(*found.texts, *one.texts),
        )
    options = tuple(Line(text, file) for text in dockerfile.index_options)
    return replace(found, requirements=(*found.requirements, *lines), options=(*found.options, *options))


_COMMAND = re.compile(r"(?:python[\d.]*\s+-m\s+)?(?:uv\s+)?pip[\d.]*\s+install\s+(?P<rest>.+)")
_OPTION = re.compile(
    r"(?:-r|-c|-f|-i|--requirement|--index-url|--extra-index-url|--find-links)[ =]\s*\S+|-{1,2}[\w-]+(?:=\S+)?"
)
_INSTALLERS = {"pip", "setuptools", "wheel", "uv"}


class DockerfileInstalls:
    """The Dockerfile at the top of the project, where it installs packages by name."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where no requirements file is all that it installs."""
        path = find_dockerfile(folder.path)
        return (path.name,) if path is not None and any(_lines(path.name, _text(folder, path.name))) else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its commands, as requirements."""
        text = _text(folder, path)
        because = "no other file names dependencies, and it installs some by name"
        return Found(path, because, tuple(_lines(path, text)), texts=((path, text),))


def _text(folder: Folder, name: str) -> str:
    found = read_any_text(folder.path, name)
    return found[0] if found is not None else ""


def _lines(file: str, text: str) -> Iterator[Line]:
    """Each command that installs packages by name."""
    for instruction in parse_dockerfile(text).instructions:
        for command in re.split(r"&&|;|\|\|", instruction.rest) if instruction.keyword == "RUN" else ():
            match = _COMMAND.fullmatch(command.strip())
            packages = _OPTION.sub(" ", match["rest"]).split() if match else []
            if set(packages) - _INSTALLERS and "$" not in command and packages != ["."]:
                yield Line(command.strip(), f"{file}:{instruction.first_line + 1}")
