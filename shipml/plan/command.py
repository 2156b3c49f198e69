"""What the image runs, and how a command line becomes a program and its arguments without a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from dataclasses import replace

from shipml.errors import PlanError
from shipml.facts.project import ProcessLine, Project
from shipml.plan.command_line import (
    Command,
    path_to_ask,
    read_command_line,
    shell_reason,
    split_command_line,
    usual_port,
)
from shipml.plan.serving import serve, serve_itself
from shipml.plan.which import Choice, choose_program

__all__ = ["Command", "choose_command", "named_line", "needs_shell"]

_PROCESSES = ("web", "worker")
_SERVES = re.compile(r"serve|server|api|app|web|run|start")
"""In the name of a command that is the likeliest of several."""


def choose_command(project: Project, *, packages: Collection[str] | None = None, with_shell: bool = False) -> Command:
    """The project's command: settings, Procfile, else the likeliest program.

    Args:
        project: the facts.
        packages: normalised names of what is installed; None while that is not known yet.
        with_shell: whether the image has one.

    Raises:
        PlanError: there is none, it is not a program, needs a shell, or a server that is not installed.
    """
    settings = project.settings
    if settings.command:
        return _checked(project, Command(settings.command, f"{settings.source} says so"))
    if settings.command_line is not None:
        found = read_command_line(project, settings.command_line, settings.source, with_shell=with_shell)
        return _checked(project, found)
    if (process := _process(project)) is not None:
        return _of_process(project, process, with_shell=with_shell)
    if (script := _script(project)) is not None:
        return script
    return _of_program(project, choose_program(project), packages)


def _of_program(project: Project, choice: Choice, packages: Collection[str] | None) -> Command:
    """How the likeliest program is run; without `packages` only which it is."""
    program = choice.program
    if packages is None:
        idle = program.path * program.calls_nothing * (program.kind == "script")
        return Command((), "", doubt=choice.doubt, rivals=choice.rivals, idle=idle)
    served = serve(program, packages, usual_port(project, dict(project.settings.environment)))
    because = served.because
    if choice.because:
        because = choice.because if program.kind == "script" else f"{because}, and {choice.because}"
    return Command(
        (*served.arguments, *choice.arguments),
        because,
        served.environment,
        served.port,
        served.http,
        choice.others,
        doubt=choice.doubt,
        rivals=choice.rivals,
    )


def _of_process(project: Project, process: ProcessLine, *, with_shell: bool) -> Command:
    """The command of a Procfile, or of a Dockerfile, whose words are meant as they are."""
    source = f"{process.file}:{process.line}"
    if process.is_exact:
        arguments = tuple(shlex.split(process.command))
        ports = project.followed.exposed_ports if project.followed else ()
        http = path_to_ask(project, arguments)
        port = next(iter(ports), None)
        return Command(arguments, f"{source} says so", (), port, http, entrypoint_words=process.entrypoint_words)
    is_web = process.name == "web" and process.file == "Procfile"
    found = read_command_line(project, process.command, source, with_shell=with_shell, is_web=is_web)
    if process.entrypoint_words:
        found = replace(found, entrypoint_words=len(found.arguments))
    return _checked(project, found)


def _is_for_shell(project: Project, process: ProcessLine) -> bool:
    """Whether a line starts a shell, or a script that one reads; a Dockerfile's line was written for one anyway."""
    text = process.command if process.is_exact else split_command_line(project, process.command).text
    if project.followed is not None and process.file == project.followed.file and not process.is_exact:
        return bool(shell_reason(text))
    first = next(iter(re.findall(r"[^\s'\"]+", text)), "")
    return first.rpartition("/")[2] in {"sh", "bash", "dash"} or first.endswith(".sh")


def _script(project: Project) -> Command | None:
    """The command that the project's own metadata names: its only one, or the likeliest of several."""
    own = next((one for one in project.distributions if "/" not in one.source), None)
    scripts = own.scripts if own is not None else ()
    if own is None or not scripts:
        return None
    tidied = re.sub(r"[-_.]+", "-", own.name).lower()
    same = [one for one in scripts if re.sub(r"[-_.]+", "-", one[0]).lower() == tidied]
    telling = [one for one in scripts if _SERVES.search(one[0])]
    name, target = next(iter((*same, *telling, *scripts)))
    others = tuple(other for other, _ in scripts if other != name)
    doubt = ""
    if others and not same:
        doubt = f"{own.source} names several commands ({', '.join(other for other, _ in scripts)}), and {name} is run"
    module = target.partition(":")[0].replace(".", "/")
    paths = {f"{start}{module}{end}" for start in ("", "src/") for end in (".py", "/__init__.py", "/__main__.py")}
    program = next((one for one in project.programs if one.path in paths), None)
    because = f"{own.source} names the command"
    if program is None or program.kind in {"script", "notebook", "django"}:
        return Command((name,), because, others=others, doubt=doubt)
    served = serve_itself(program, usual_port(project, dict(project.settings.environment)))
    return Command((name,), because, served.environment, served.port, served.http, others, doubt=doubt)


def _process(project: Project) -> ProcessLine | None:
    """The line of the Procfile, or of a followed Dockerfile, that is run."""
    return next((one for name in _PROCESSES for one in project.processes if one.name == name), None)


def named_line(project: Project) -> tuple[str, str] | None:
    """The command line that the settings or the Procfile give, without what only sets up, and where it is."""
    if project.settings.command:
        return None
    if project.settings.command_line is not None:
        return split_command_line(project, project.settings.command_line).text, project.settings.source
    process = _process(project)
    return (split_command_line(project, process.command).text, f"{process.file}:{process.line}") if process else None


def needs_shell(project: Project) -> bool:
    """Whether the chosen program calls one itself: a notebook with `!ls`, a script for a shell."""
    process = None if project.settings.command or project.settings.command_line is not None else _process(project)
    if process is not None and _is_for_shell(project, process):
        return True
    if project.settings.command or named_line(project) is not None or _script(project) is not None:
        return False
    return choose_program(project).program.calls_shell


def _checked(project: Project, command: Command) -> Command:
    """Refuse what is plainly no program: a Python file by itself."""
    first = command.arguments[0] if command.arguments else ""
    file = project.files_by_path.get(first.removeprefix("./"))
    if not first.strip():
        raise PlanError("the command is empty", hint='say what to run: command = ["python", "app.py"]')
    if (
        first.endswith(".py")
        and not first.startswith("/")
        and (file is None or not file.executable or "/" not in first)
    ):
        raise PlanError(
            f"the command starts with {first}, which is not a program by itself",
            hint=f'put python before it: command = "python {" ".join(command.arguments)}"',
        )
    return command
