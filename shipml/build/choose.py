"""Plan → Image: the table of builders, and which one `auto` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shipml.dockerfile.names import find_dockerfile
from shipml.errors import UsageError
from shipml.facts.plan import Decision
from shipml.facts.request import DockerOptions
from shipml.project import is_understood

__all__ = ["ACR", "BUILDERS", "DOCKER", "EMBEDDED", "DockerOptions", "decide_builder", "has_dockerfile"]

EMBEDDED = "embedded"
DOCKER = "docker"
ACR = "acr"
BUILDERS = (EMBEDDED, DOCKER, ACR)
"""As `--builder` takes them. Their modules are imported where they are used: each command needs one at most."""


def has_dockerfile(folder: Path, options: DockerOptions, *, no_dockerfile: bool = False) -> bool:
    """Whether a Dockerfile of the user's own is built: one that is named, or that of the folder."""
    return options.file is not None or (not no_dockerfile and find_dockerfile(folder) is not None)


def decide_builder(
    name: str,
    folder: Path,
    options: DockerOptions,
    *,
    no_dockerfile: bool = False,
    engine_is_there: Callable[[], bool] = lambda: True,
) -> Decision:
    """The builder called `name`; for "auto" the one that fits the project.

    Args:
        name: as `--builder` takes it.
        folder: the project's.
        options: of the docker builder.
        no_dockerfile: whether the project's Dockerfile is ignored.
        engine_is_there: whether a Docker Engine runs here; only asked where it matters.

    Raises:
        UsageError: there is no builder of that name, or it does not take the options that were given.
    """
    if name not in ("auto", *BUILDERS):
        raise UsageError(f"unknown builder {name!r}", hint=f"use one of: auto, {', '.join(BUILDERS)}")
    if options.file is not None and not options.file.is_file():
        near = find_dockerfile(folder)
        raise UsageError(
            f"there is no Dockerfile {options.file}", hint=f"use: --file {near}" if near else "omit --file"
        )
    if name != "auto":
        decision = Decision("builder", name, "--builder says so")
    elif has_dockerfile(folder, options, no_dockerfile=no_dockerfile):
        decision = Decision("builder", DOCKER, "the project has a Dockerfile")
        if not options.given and is_understood(folder) and not engine_is_there():
            because = "the project's Dockerfile can be followed, and no Docker Engine runs here"
            decision = Decision("builder", EMBEDDED, because)
    else:
        decision = Decision("builder", EMBEDDED, "there is no Dockerfile, and wheels need no build step")
    if decision.value == EMBEDDED and options.given:
        raise UsageError(
            f"{options.given[0]} is an option of the builder docker, not of {decision.value}",
            hint="add --builder docker",
        )
    return decision
