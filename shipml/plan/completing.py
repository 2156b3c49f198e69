"""What running a program takes beyond what the project asks for: a server for an app, something that runs notebooks."""

from __future__ import annotations

from dataclasses import replace

from shipml.errors import PlanError
from shipml.facts.project import Project
from shipml.facts.requirements import Correction, DeclaredRequirement, Requirements
from shipml.plan.command import choose_program
from shipml.plan.serving import needed_package

__all__ = ["complete"]


def complete(project: Project) -> tuple[Project, Correction | None]:
    """The project with the one package that its program cannot run without, and what was added; None for nothing.

    Where the project says itself what runs (settings, Procfile, Dockerfile), nothing is added.
    """
    settings = project.settings
    if settings.command or settings.command_line is not None or project.processes:
        return project, None
    try:
        program, _ = choose_program(project)
    except PlanError:
        return project, None  # it is said where the command is chosen
    declared = project.requirements or Requirements(path="", because=f"{program.path} needs it to run")
    if declared.as_it_stands:
        return project, None
    name, because = needed_package(program, {one.name for one in declared.requirements})
    if not name:
        return project, None
    change = Correction("added", "", name, because, program.source)
    added = DeclaredRequirement(name, program.source, name)
    completed = replace(
        declared,
        requirements=(*declared.requirements, added),
        changes=(*declared.changes, change),
    )
    return replace(project, requirements=completed), change
