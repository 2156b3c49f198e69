"""What the image runs, and how a command line becomes a program and its arguments without a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from shipml.errors import PlanError
from shipml.plan.facts import Project

__all__ = ["Command", "choose_command"]

DEFAULT_PORT = "8080"
_ENTRIES = ("app.py", "main.py")
_PROCESSES = ("web", "worker")
_SHELL = re.compile(r"[|&;<>`*?~(){}\[\]!\n]|\$\(")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?::?-(?P<default>[^}$]*))?\}|(?P<plain>[A-Za-z_]\w*))")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True, slots=True)
class Command:
    """The chosen command."""

    arguments: tuple[str, ...]
    because: str
    environment: tuple[tuple[str, str], ...] = ()
    """What must be set besides, because the command line used it."""
    port: int | None = None
    """Where it listens, when the command line says so."""


def choose_command(project: Project, *, with_shell: bool = False) -> Command:
    """The project's command: settings, Procfile, app.py, main.py.

    Raises:
        PlanError: there is none, it is no program, or it needs a shell.
    """
    settings = project.settings
    if settings.command:
        return _checked(project, Command(settings.command, f"{settings.source} says so"))
    if settings.command_line is not None:
        return _checked(project, _from_line(project, settings.command_line, settings.source, with_shell=with_shell))
    for name in _PROCESSES:
        for process in project.processes:
            if process.name == name:
                source = f"Procfile:{process.line}"
                return _checked(project, _from_line(project, process.command, source, with_shell=with_shell))
    for entry in _ENTRIES:
        if entry in project.files_by_path:
            return Command(("python", entry), f"{entry} is there")
    raise _nothing_to_run(project)


def _nothing_to_run(project: Project) -> PlanError:
    programs = [file.path for file in project.files if file.path.endswith(".py") and "/" not in file.path]
    if not programs:
        return PlanError(
            f"there is nothing to run in {project.folder}: no app.py, no main.py, no Procfile",
            hint='add an app.py, or say what to run in shipml.toml: command = ["python", "-m", "my_package"]',
        )
    first = next((one for one in ("predict.py", "train.py") if one in programs), programs[0])
    return PlanError(
        f"it is not clear which program the image should run: {', '.join(programs)}",
        hint=f'say so in shipml.toml: command = ["python", "{first}"], or call it app.py',
    )


def _from_line(project: Project, line: str, source: str, *, with_shell: bool) -> Command:
    """One string as a command."""
    because = f"{source} says so"
    text = line.removeprefix("exec ").strip()
    needs_shell = _needs_shell(text)
    if needs_shell and with_shell:
        port = _port(project, {}) if re.search(r"\$\{?PORT\b", text) else None
        environment = (("PORT", str(port)),) if port else ()
        return Command(("/bin/sh", "-c", line), f"{because}; {needs_shell} needs a shell", environment, port)
    if needs_shell:
        raise PlanError(
            f"the command in {source} needs a shell for {needs_shell}, and the image has none: {line}",
            hint="write the program and its arguments alone, put variables under [env], or build with --with-shell",
        )
    return _without_shell(project, text, source, because)


def _needs_shell(text: str) -> str:
    """What only a shell could do in `text`, as a phrase; "" where it is plain."""
    unquoted = _unquoted(_VARIABLE.sub("", text))
    if match := _SHELL.search(unquoted):
        return f'"{match[0]}"'
    return f'"{text.split(maxsplit=1)[0]}"' if _ASSIGNMENT.match(text) else ""


def _unquoted(text: str) -> str:
    """`text` without what stands in quotation marks or behind a backslash."""
    return re.sub(r"'[^']*'|\"(?:[^\"\\`]|\\.)*\"|\\.", "", text, flags=re.DOTALL)


def _without_shell(project: Project, text: str, source: str, because: str) -> Command:
    known = dict(project.settings.environment)
    used: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        default: str | None = match["default"]
        if default is None and name == "PORT":
            default = str(_port(project, known))
        value = known.get(name, default)
        if value is None:
            raise PlanError(
                f"the command in {source} uses ${name}, which is not set",
                hint="set it in the settings, under [env]",
            )
        used[name] = value
        return value

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise PlanError(f"the command in {source} has an open quotation: {text}", hint="close it") from error
    arguments = tuple(_VARIABLE.sub(fill, word) for word in words)
    if used:
        filled = ", ".join(f"{name} = {value}" for name, value in sorted(used.items()))
        because = f"{because}, with {filled} filled in as the image has no shell"
    port = int(used["PORT"]) if used.get("PORT", "").isdecimal() else None
    environment = (("PORT", used["PORT"]),) if "PORT" in used and "PORT" not in known else ()
    return Command(arguments, because, environment, port)


def _port(project: Project, known: Mapping[str, str]) -> int:
    return project.settings.smoke.port or int(known.get("PORT", DEFAULT_PORT))


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
            f"the command starts with {first}, which is no program by itself",
            hint=f'put python before it: command = "python {" ".join(command.arguments)}"',
        )
    return command
