"""What the image runs, and how a command line becomes a program and its arguments without a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shipml.errors import PlanError
from shipml.facts.project import Program, Project
from shipml.plan.serving import health_path, serve

__all__ = ["Command", "choose_command", "choose_program"]

DEFAULT_PORT = "8080"
_NAMES = ("app", "main", "streamlit_app", "wsgi", "asgi", "server", "api", "run", "home", "index", "predict", "train")
"""Of programs, the likeliest first."""
_PROCESSES = ("web", "worker")
_SHOWN = 8
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
    http: str = ""
    """The path that must answer, where the program is a server and shows one."""
    others: tuple[str, ...] = ()
    """Programs of the project that could have been taken instead."""


def choose_command(project: Project, *, packages: Collection[str] | None = None, with_shell: bool = False) -> Command:
    """The project's command: settings, Procfile, else the likeliest program.

    Args:
        project: the facts.
        packages: normalised names of what is installed; None while that is not known yet.
        with_shell: whether the image has one.

    Raises:
        PlanError: there is none, it is no program, needs a shell, or a server that is not installed.
    """
    settings = project.settings
    if settings.command:
        return _checked(project, Command(settings.command, f"{settings.source} says so"))
    if settings.command_line is not None:
        return _checked(project, _from_line(project, settings.command_line, settings.source, with_shell=with_shell))
    for name in _PROCESSES:
        for process in project.processes:
            if process.name == name:
                source = f"{process.file}:{process.line}"
                if process.is_exact:
                    arguments = tuple(shlex.split(process.command))
                    ports = project.followed.exposed_ports if project.followed else ()
                    http = _path_to_ask(project, arguments)
                    return Command(arguments, f"{source} says so", (), next(iter(ports), None), http)
                return _checked(project, _from_line(project, process.command, source, with_shell=with_shell))
    program, others = choose_program(project)
    if packages is None:
        return Command((), "")
    served = serve(program, packages, _port(project, dict(settings.environment)))
    return Command(served.arguments, served.because, served.environment, served.port, served.http, others)


def choose_program(project: Project) -> tuple[Program, tuple[str, ...]]:
    """The likeliest program, and the paths of those that could be meant as well.

    A server's app comes before a script, what lies near the root before what lies deep, what has a telling name before
    what has none; a notebook comes last.

    Raises:
        PlanError: there is no program, or no telling which of several is meant.
    """
    ranked = sorted((_rank(program), program) for program in project.programs if not program.is_imported)
    if not ranked:
        ranked = sorted((_rank(program), program) for program in project.programs)
    if not ranked:
        raise _nothing_to_run(project)
    (best, program), *rest = ranked
    if rest and _is_unclear(best, rest[0][0]):
        raise _nothing_to_run(project)
    return program, tuple(other.path for _, other in rest if other.kind != "script" or other.runs_itself)


def _rank(program: Program) -> tuple[int, int, int, int]:
    """What makes a program likely; the lowest is taken."""
    stem = program.path.rpartition("/")[2].rpartition(".")[0].lower()
    named = _NAMES.index(stem) if stem in _NAMES else len(_NAMES)
    kind = {"notebook": 2, "script": 1}.get(program.kind, 0)
    if named < 2 and "/" not in program.path and program.kind == "script":  # noqa: PLR2004  (app.py and main.py)
        kind = 0
    return kind, program.path.count("/"), named, 0 if program.runs_itself else 1


def _is_unclear(best: tuple[int, int, int, int], next_best: tuple[int, int, int, int]) -> bool:
    """Whether nothing but the alphabet decides between two."""
    return best == next_best and best[2] == len(_NAMES)


def _nothing_to_run(project: Project) -> PlanError:
    programs = [program.path for program in project.programs if not program.is_imported]
    if not programs:
        return PlanError(
            f"there is nothing to run in {project.folder}: no program in Python, no notebook, no Procfile",
            hint='add an app.py, or say what to run in shipml.toml: command = ["python", "-m", "my_package"]',
        )
    first = programs[0]
    return PlanError(
        f"it is not clear which program the image should run: {', '.join(programs[:_SHOWN])}"
        + (f" and {len(programs) - _SHOWN} more" if len(programs) > _SHOWN else ""),
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
    return Command(arguments, because, environment, port, _path_to_ask(project, arguments) if port else "")


def _path_to_ask(project: Project, arguments: tuple[str, ...]) -> str:
    """The path that must answer of the app that a command line names (`gunicorn app:app`); "" where none is known."""
    words = {word.partition(":")[0].partition("(")[0] for word in arguments}
    for program in project.programs:
        names = {program.path, program.module, program.path.removesuffix(".py").replace("/", ".")}
        if program.kind not in {"script", "notebook", "django"} and names & words:
            return health_path(program)
    return ""


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
