"""A project built as its Dockerfile says: what the instructions mean for the facts. Pure."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Literal, TypeAlias

from shipml.errors import PlanError
from shipml.plan.dockerfile import NotUnderstood, Understood
from shipml.plan.facts import ProcessLine, Project, PythonEvidence, SystemPackage
from shipml.plan.placing import place_files

__all__ = ["Following", "follow_dockerfile"]

Following: TypeAlias = Literal["ignore", "try", "follow"]
"""Whether a project's own Dockerfile decides: never, where it is understood, or always."""

_ROOT = "0"


def follow_dockerfile(project: Project) -> Project:
    """The project's facts as its Dockerfile changes them; the settings still come first.

    Raises:
        PlanError: an instruction is not understood, or copies what is not there.
    """
    dockerfile = project.dockerfile
    if isinstance(dockerfile, NotUnderstood):
        raise PlanError(
            f"only a Docker Engine can build this Dockerfile; the first instruction that shipml does not understand:"
            f" {dockerfile.sentence}",
            hint="build it there: shipml build --builder docker; or without the Dockerfile: --no-dockerfile",
        )
    if dockerfile is None:
        return project
    placed = place_files(project.files, dockerfile)
    settings = project.settings
    evidence = project.python_evidence
    if dockerfile.python and not settings.python:
        evidence = (PythonEvidence(dockerfile.python, "Dockerfile:FROM", "version"), *evidence)
    return replace(
        project,
        followed=dockerfile,
        places=placed.places,
        files=placed.files,
        python_evidence=evidence,
        settings=replace(
            settings,
            environment=tuple(sorted((dict(dockerfile.environment) | dict(settings.environment)).items())),
            user=settings.user or dockerfile.user or _ROOT,
        ),
        processes=_process(dockerfile) or project.processes,
        system_packages=(
            *(SystemPackage(name, f"Dockerfile:{line}") for name, line in dockerfile.system_packages),
            *project.system_packages,
        ),
    )


def _process(dockerfile: Understood) -> tuple[ProcessLine, ...]:
    """The command as a line; what follows an ENTRYPOINT is one line with it."""
    command = dockerfile.command
    if command is None:
        return ()
    text = command.text or shlex.join((*command.entrypoint, *command.arguments))
    return (ProcessLine("web", text, command.line, file="Dockerfile", is_exact=not command.text),)
