"""What a Dockerfile that is followed installs with pip: its files and lines together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shipml.dockerfile.names import find_dockerfile
from shipml.dockerfile.pip_install import find_pip_installs
from shipml.dockerfile.text import parse_dockerfile
from shipml.errors import ConfigurationError
from shipml.facts.dockerfile import FollowedDockerfile
from shipml.project.requirements.conda import conda_lines
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
    lines += tuple(conda_lines(dockerfile.conda_packages, file))
    if not lines and not dockerfile.requirement_files:
        return None
    files = dict.fromkeys(path for path, _ in dockerfile.requirement_files)
    found = Found(next(iter(files), file), "the Dockerfile installs it")
    for path in files:
        one = _installed(folder, path, dockerfile.requirement_files, file)
        found = replace(
            found,
            requirements=(*found.requirements, *one.requirements),
            constraints=(*found.constraints, *one.constraints),
            options=(*found.options, *one.options),
            changes=(*found.changes, *one.changes),
            texts=(*found.texts, *one.texts),
        )
    for path in dict.fromkeys(path for path, _ in dockerfile.constraint_files):
        one = _installed(folder, path, dockerfile.constraint_files, file)
        constraints = (*found.constraints, *one.requirements, *one.constraints)
        found = replace(found, constraints=constraints, texts=(*found.texts, *one.texts))
    options = tuple(Line(text, file) for text in dockerfile.index_options)
    return replace(found, requirements=(*found.requirements, *lines), options=(*found.options, *options))


def _installed(folder: Folder, path: str, named: Sequence[tuple[str, int]], file: str) -> Found:
    """A requirements file, or one of constraints, that a line of the Dockerfile names."""
    one = read_requirements_file(folder, path, "")
    if not one.texts:
        line = next(line for name, line in named if name == path)
        raise ConfigurationError(
            f"{file}:{line} installs {path}, which is not in the project",
            hint=f"add {path}, or correct the line; to build without the Dockerfile: --no-dockerfile",
        )
    return one


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
        for one in find_pip_installs(instruction.rest) if instruction.keyword == "RUN" else ():
            if set(one.requirements) - _INSTALLERS and "$" not in one.text:
                yield Line(one.text, f"{file}:{instruction.first_line + 1}")
