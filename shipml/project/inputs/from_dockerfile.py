"""What a Dockerfile that is followed installs with pip: its files and lines together."""

from __future__ import annotations

from dataclasses import replace

from shipml.errors import ConfigurationError
from shipml.plan.dockerfile import Understood
from shipml.project.inputs.base import Folder, Found, Line
from shipml.project.inputs.requirements_txt import read_requirements_file

__all__ = ["read_dockerfile"]


def read_dockerfile(folder: Folder, dockerfile: Understood) -> Found | None:
    """All that its `pip install`s name; None where there is none.

    Raises:
        ConfigurationError: a file that it installs is not there, or cannot be read.
    """
    lines = tuple(Line(text, f"Dockerfile:{line}") for text, line in dockerfile.requirements)
    if not lines and not dockerfile.requirement_files:
        return None
    files = dict.fromkeys(path for path, _ in dockerfile.requirement_files)
    found = Found(next(iter(files), "Dockerfile"), "the Dockerfile installs it")
    for path in files:
        one = read_requirements_file(folder, path, "")
        if not one.texts:
            line = next(line for name, line in dockerfile.requirement_files if name == path)
            raise ConfigurationError(
                f"Dockerfile:{line} installs {path}, which is not in the project",
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
    options = tuple(Line(text, "Dockerfile") for text in dockerfile.index_options)
    return replace(found, requirements=(*found.requirements, *lines), options=(*found.options, *options))
