"""What the image runs, and how a command line becomes a program and its arguments without a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from shipml.errors import PlanError
from shipml.facts.project import ProcessLine, Program, Project
from shipml.plan.launching import with_variables
from shipml.plan.server_line import ServerLine, read_server_line
from shipml.plan.serving import health_path, serve, serve_itself
from shipml.text import listed

__all__ = ["Command", "choose_command", "choose_program", "named_line", "needs_shell"]

DEFAULT_PORT = "8080"
_Rank: TypeAlias = tuple[int, int, int, int]
_NAMES = (
    *("app", "main", "streamlit_app", "wsgi", "asgi", "server", "api", "run", "home", "index", "predict", "train"),
    *("serve", "web", "webapp", "demo", "chat", "chatbot", "dashboard", "inference", "score", "scoring", "training"),
    *("pipeline", "evaluate", "fit", "model"),
)
"""Of programs, the likeliest first."""
_HELPERS = frozenset(
    {
        "storage",
        "deploy",
        "deployment",
        "upload",
        "download",
        "util",
        "utils",
        "helper",
        "helpers",
        "config",
        "settings",
    }
    | {"database", "db", "constants", "logger", "schema", "schemas", "types", "version", "plot", "plots"}
)
"""Words in the names of files that help a program and are none."""
_PROCESSES = ("web", "worker")
_SHOWN = 8
_SHELL = re.compile(r"[|&;<>`*?~(){}\[\]!\n]|\$\(")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?::?-(?P<default>[^}$]*))?\}|(?P<plain>[A-Za-z_]\w*))")
_SERVES = re.compile(r"serve|server|api|app|web|run|start")
"""In the name of a command that is the likeliest of several."""
_SETUP = re.compile(r"(?:(?:sh|bash|source|\.)\s+)?(?P<path>[\w./-]+\.sh)\s*&&\s*")
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
    idle: str = ""
    """The program's file where it only defines things; "" where it does something."""
    entrypoint_words: int = 0
    """How many of the arguments stay where a run gives a command of its own: the image's Entrypoint."""
    doubt: str = ""
    """Why another could be meant as well: a sentence without full stop; "" where it is clear."""


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
        found = _from_line(project, settings.command_line, settings.source, with_shell=with_shell)
        return _checked(project, found)
    if (process := _process(project)) is not None:
        return _of_process(project, process, with_shell=with_shell)
    if (script := _script(project)) is not None:
        return script
    program, others = choose_program(project)
    doubt = _doubt(project)
    if packages is None:
        return Command((), "", doubt=doubt, idle=program.path * program.calls_nothing * (program.kind == "script"))
    served = serve(program, packages, _port(project, dict(settings.environment)))
    return Command(served.arguments, served.because, served.environment, served.port, served.http, others, doubt=doubt)


def _of_process(project: Project, process: ProcessLine, *, with_shell: bool) -> Command:
    """The command of a Procfile, or of a Dockerfile, whose words are meant as they are."""
    source = f"{process.file}:{process.line}"
    if process.is_exact:
        arguments = tuple(shlex.split(process.command))
        ports = project.followed.exposed_ports if project.followed else ()
        http = _path_to_ask(project, arguments)
        port = next(iter(ports), None)
        return Command(arguments, f"{source} says so", (), port, http, entrypoint_words=process.entrypoint_words)
    is_web = process.name == "web" and process.file == "Procfile"
    found = _from_line(project, process.command, source, with_shell=with_shell, is_web=is_web)
    if process.entrypoint_words:
        found = replace(found, entrypoint_words=len(found.arguments))
    return _checked(project, found)


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
    served = serve_itself(program, _port(project, dict(project.settings.environment)))
    return Command((name,), because, served.environment, served.port, served.http, others, doubt=doubt)


def _process(project: Project) -> ProcessLine | None:
    """The line of the Procfile, or of a followed Dockerfile, that is run."""
    return next((one for name in _PROCESSES for one in project.processes if one.name == name), None)


def named_line(project: Project) -> tuple[str, str] | None:
    """The command line that the settings or the Procfile give, without what only sets up, and where it is."""
    if project.settings.command:
        return None
    if project.settings.command_line is not None:
        return _without_setup(project, project.settings.command_line), project.settings.source
    process = _process(project)
    return (_without_setup(project, process.command), f"{process.file}:{process.line}") if process else None


def needs_shell(project: Project) -> bool:
    """Whether the chosen program calls one itself: a notebook with `!ls`."""
    if project.settings.command or named_line(project) is not None or _script(project) is not None:
        return False
    program, _ = choose_program(project)
    return program.calls_shell


def _without_setup(project: Project, line: str) -> str:
    """The line without `sh setup.sh &&` in front, where that only writes Streamlit's settings."""
    text = line.strip()
    while match := _SETUP.match(text):
        if match["path"].removeprefix("./") not in project.streamlit_setups:
            break
        text = text[match.end() :]
    return text.removeprefix("exec ").strip()


def choose_program(project: Project) -> tuple[Program, tuple[str, ...]]:
    """The likeliest program, and the paths of those that could be meant as well.

    A server's app comes before a script, what lies near the root before what lies deep, what has a telling name before
    what has none; helpers come late, notebooks last.

    Raises:
        PlanError: there is no program.
    """
    (_, program), *rest = _ranked(project)
    return program, tuple(other.path for _, other in rest if other.kind != "script" or other.runs_itself)


def _ranked(project: Project) -> list[tuple[_Rank, Program]]:
    """The programs that nothing imports, the likeliest first; all of them where each is imported by another."""
    programs = [one for one in project.programs if not one.is_imported] or list(project.programs)
    if not programs:
        raise PlanError(
            f"there is nothing to run in {project.folder}: no program in Python, no notebook, no Procfile",
            hint='add an app.py, or say what to run in shipml.toml: command = ["python", "-m", "my_package"]',
        )
    return sorted((_rank(program), program) for program in programs)


def _doubt(project: Project) -> str:
    """The sentence that names the other programs where nothing but the alphabet decides; "" where something does."""
    (best, program), *rest = _ranked(project)
    equal = [other.path for rank, other in rest if rank == best]
    if not equal or best[2] < len(_NAMES):
        return ""
    return f"several programs could be meant, {listed([program.path, *equal], most=_SHOWN)}, and {program.path} is run"


def _rank(program: Program) -> _Rank:
    """What makes a program likely; the lowest is taken: kind, depth, name, whether it starts itself."""
    stem = program.path.rpartition("/")[2].rpartition(".")[0].lower()
    words = re.split(r"[^a-z]+", stem)
    named = _NAMES.index(stem) if stem in _NAMES else len(_NAMES)
    if named == len(_NAMES) and _HELPERS.isdisjoint(words):
        named = min((_NAMES.index(word) for word in words if word in _NAMES), default=len(_NAMES))
    elif named == len(_NAMES):
        named += 1
    kind = {"notebook": 2, "script": 1}.get(program.kind, 0)
    if stem in {"app", "main"} and "/" not in program.path and program.kind == "script":
        kind = 0
    return kind, program.path.count("/"), named, 0 if program.runs_itself else 1


def _from_line(project: Project, line: str, source: str, *, with_shell: bool, is_web: bool = False) -> Command:
    """One string as a command; `is_web` says that it is a server whatever it looks like."""
    because = f"{source} says so"
    text = _without_setup(project, line)
    if text != line.strip().removeprefix("exec ").strip():
        because += "; what only writes Streamlit's settings is left out"
    needs_shell = _needs_shell(text)
    if needs_shell and with_shell:
        port = _port(project, {}) if is_web or re.search(r"\$\{?PORT\b", text) else None
        environment = (("PORT", str(port)),) if port else ()
        return Command(("/bin/sh", "-c", line), f"{because}; {needs_shell} needs a shell", environment, port)
    if needs_shell:
        raise PlanError(
            f"the command in {source} needs a shell for {needs_shell}, and the image has none: {line}",
            hint="write the program and its arguments alone, put variables under [env], or build with --with-shell",
        )
    return _without_shell(project, text, source, because, is_web=is_web)


def _needs_shell(text: str) -> str:
    """What only a shell could do in `text`, as a phrase; "" where it is plain."""
    unquoted = _unquoted(_VARIABLE.sub("", text))
    if match := _SHELL.search(unquoted):
        return f'"{match[0]}"'
    return f'"{text.split(maxsplit=1)[0]}"' if _ASSIGNMENT.match(text) else ""


def _unquoted(text: str) -> str:
    """`text` without what stands in quotation marks or behind a backslash."""
    return re.sub(r"'[^']*'|\"(?:[^\"\\`]|\\.)*\"|\\.", "", text, flags=re.DOTALL)


def _without_shell(project: Project, text: str, source: str, because: str, *, is_web: bool) -> Command:
    """The command with its variables kept: a launcher fills them in; what they default to is in the image."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise PlanError(f"the command in {source} has an open quotation: {text}", hint="close it") from error
    server = read_server_line(words)
    if server is not None:
        words, fixed = _with_its_app(project, server)
        because += f"; with {shlex.join(server.added)}, so that it can be reached" if server.added else ""
        because += f"; {fixed}" if fixed else ""
    known = dict(project.settings.environment)
    used = _variables(project, words, source, known)
    listens_at = _VARIABLE.sub(lambda match: used.get(_name(match), ""), server.port) if server else ""
    if is_web or listens_at:
        used.setdefault("PORT", known.get("PORT") or listens_at or str(_started_port(project, words)))
    port = listens_at or used.get("PORT", "")
    arguments = with_variables([_VARIABLE.sub(lambda match: f"${{{_name(match)}}}", word) for word in words])
    environment = tuple(sorted((name, value) for name, value in used.items() if name not in known))
    number = int(port) if port.isdecimal() else None
    return Command(arguments, because, environment, number, _path_to_ask(project, tuple(words)) if number else "")


def _name(match: re.Match[str]) -> str:
    name: str = match["braced"] or match["plain"]
    return name


def _variables(project: Project, words: Iterable[str], source: str, known: Mapping[str, str]) -> dict[str, str]:
    """What the image sets each variable of a command to: the settings' value, else the line's own default."""
    used: dict[str, str] = {}
    for match in (match for word in words for match in _VARIABLE.finditer(word)):
        name = _name(match)
        default: str | None = match["default"]
        if default is None and name == "PORT":
            default = used.get(name) or str(_port(project, known))
        value = known.get(name, default)
        if value is None:
            raise PlanError(
                f"the command in {source} uses ${name}, which is not set", hint="set it in the settings, under [env]"
            )
        used[name] = value
    return used


def _started_port(project: Project, words: Sequence[str]) -> int:
    """Where a program listens that a web process runs by itself: as its code says, else the usual port."""
    said = (one.port for one in project.programs if one.path in words and one.port is not None)
    return next(said, _port(project, {}))


def _with_its_app(project: Project, server: ServerLine) -> tuple[list[str], str]:
    """The server's words, with the project's only app where they name a module that does not exist; and why."""
    words = list(server.words)
    module, _, name = words[server.app_at].partition(":") if server.app_at >= 0 else ("", "", "")
    top = module.partition(".")[0]
    files = {file.path.partition("/")[0].removesuffix(".py") for file in project.files}
    folders = {part for file in project.files for part in file.path.split("/")[:-1]} | files
    moved = any(word.startswith(("--chdir", "--pythonpath", "--app-dir")) for word in words)
    apps = [one for one in project.programs if one.kind in {"flask", "fastapi", "dash"} and one.object]
    if not module or moved or top in folders or f"{top}.py" in {file.path.rpartition("/")[2] for file in project.files}:
        return words, ""
    if len(apps) != 1:
        return words, ""
    right = f"{apps[0].module}:{apps[0].object}"
    words[server.app_at] = right
    return words, f"{right} in place of {module}:{name}, because there is no module {module}"


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
            f"the command starts with {first}, which is not a program by itself",
            hint=f'put python before it: command = "python {" ".join(command.arguments)}"',
        )
    return command
