"""What running a program takes beyond what the project asks for: a server for an app, something that runs notebooks."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from shipml.errors import PlanError
from shipml.facts.project import Project
from shipml.facts.requirements import Correction, DeclaredRequirement, Requirements
from shipml.plan.command import named_line
from shipml.plan.server_line import read_server_line
from shipml.plan.serving import needed_packages
from shipml.plan.which import choose_program

__all__ = ["complete"]


def complete(project: Project) -> tuple[Project, tuple[Correction, ...]]:
    """The project with the packages that its program cannot run without, and what was added.

    Where the project says itself what runs (settings, Procfile), only the server that it names is added; nothing
    where a Dockerfile says it.
    """
    declared = project.requirements or Requirements(path="", because="its program needs it to run")
    if declared.as_it_stands or project.followed is not None:
        return project, ()
    listed = {one.name for one in declared.requirements}
    changes = tuple(
        Correction("added", "", name, because, source)
        for name, because, source in _needed(project, listed)
        if name not in listed
    )
    if not changes:
        return project, ()
    added = tuple(DeclaredRequirement(one.after, one.source, one.after) for one in changes)
    completed = replace(
        declared,
        requirements=(*declared.requirements, *added),
        changes=(*declared.changes, *changes),
        for_running=tuple(one.name for one in added),
    )
    return replace(project, requirements=completed), changes


def _needed(project: Project, listed: set[str]) -> Iterator[tuple[str, str, str]]:
    """Name, reason and source of each package that running the project takes."""
    named = named_line(project)
    if named is not None:
        text, source = named
        try:
            words = shlex.split(text)
        except ValueError:
            return  # it is said where the command is chosen
        server = read_server_line([word for word in words if word != "exec"])
        if server is not None:
            yield server.package, f"{source} starts it, and nothing lists it", source
        return
    if project.settings.command:
        return
    try:
        program = choose_program(project).program
    except PlanError:
        return  # it is said where the command is chosen
    yield from ((name, because, program.source) for name, because in needed_packages(program, listed))
