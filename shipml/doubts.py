"""What has to be said of a project before its plan is made, and asked: files that are missing, programs in doubt."""

from __future__ import annotations

import functools
import json

from shipml.errors import PlanError
from shipml.events import Notice
from shipml.facts.programs import Program
from shipml.facts.project import Project
from shipml.facts.request import PlanRequest
from shipml.plan.command import Command, choose_command, needs_shell
from shipml.plan.which import choose_program, typed_command
from shipml.project import read_project
from shipml.session import Session
from shipml.text import size_text

__all__ = ["read_with_answers", "require_content", "say_doubt", "say_skipped"]

_SHOWN = 5
_MOST_ANSWERS = 9


def require_content(session: Session, project: Project, request: PlanRequest) -> None:
    """Say which files are pointers of Git LFS; an image is not made of them.

    Raises:
        PlanError: there are some, and an image is made.
    """
    if not project.lfs_pointers:
        return
    missing = [
        f"{one.path} is a git-lfs pointer, {size_text(one.size_bytes)} are missing"
        + (f" ({one.reader} names it)" if one.reader else "")
        for one in project.lfs_pointers
    ]
    paths = ", ".join(json.dumps(one.path) for one in project.lfs_pointers[:_SHOWN])
    hint = f"fetch the content: git lfs pull; or leave it out, in shipml.toml: exclude = [{paths}]"
    message = f"{'; '.join(missing[:_SHOWN])}{f' and {len(missing) - _SHOWN} more' * (len(missing) > _SHOWN)}"
    if request.must_follow:
        raise PlanError(message, hint=hint)
    session.emit(Notice(f"{message}: build refuses that; {hint}", "warning"))


def read_with_answers(session: Session, request: PlanRequest) -> Project:
    """The project; of several programs that could be meant the one that the user chooses, where one can be asked.

    Raises:
        PlanError: there is nothing to run.
    """
    read = functools.partial(
        read_project,
        request.folder,
        session.store,
        session.emit,
        dockerfile=request.dockerfile,
        extras=request.extra,
        groups=request.group,
    )
    project = read()
    command = choose_command(project, with_shell=request.with_shell or needs_shell(project))
    if not command.rivals or session.choose is None:
        return project
    programs = (choose_program(project).program, *command.rivals[: _MOST_ANSWERS - 1])
    shown = {one.path: one.source for one in reversed(project.run_evidence)}
    answers = tuple(f"{one.path} ({shown[one.path]})" if one.path in shown else one.path for one in programs)
    program = programs[session.choose("several programs could be meant; which one is run?", answers)]
    session.emit(Notice(f"{program.path} is run; to keep the answer, write in shipml.toml: {_setting(program)}"))
    return read(program=program.path)


def _setting(program: Program) -> str:
    return f"command = {json.dumps(typed_command(program))}"


def say_skipped(session: Session, project: Project, request: PlanRequest) -> None:
    """Say what of a Dockerfile that is followed is not carried out; `--strict` refuses that."""
    skipped = project.followed.skipped if project.followed is not None else ()
    if skipped and request.strict:
        more = f" and {len(skipped) - 1} more" * (len(skipped) > 1)
        raise PlanError(
            f"only a Docker Engine carries out all of this Dockerfile: {skipped[0].sentence}{more}",
            hint="build it there: shipml build --builder docker; or without the Dockerfile: --no-dockerfile",
        )
    for one in skipped:
        session.emit(Notice(f"{one.sentence}; it is left out", "warning"))


def say_doubt(session: Session, command: Command, request: PlanRequest) -> None:
    """Say that the program does nothing, or that another could be meant; `--strict` refuses that."""
    if command.idle:
        session.emit(Notice(f"{command.idle} only defines things: running it does nothing", "warning"))
    if command.fixed:
        _say(session, command.fixed, "correct that line", request)
    if command.doubt:
        other = next(iter(command.rivals), None)
        line = _setting(other) if other is not None else 'command = "…"'
        _say(session, command.doubt, f"say in shipml.toml what to run: {line}", request)


def _say(session: Session, sentence: str, hint: str, request: PlanRequest) -> None:
    """A warning, which `--strict` makes an error."""
    if request.strict:
        raise PlanError(sentence, hint=hint)
    session.emit(Notice(f"{sentence}; {hint}", "warning"))
