"""How a command line becomes a program and its arguments, without a shell. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shipml.errors import PlanError
from shipml.facts.programs import Program
from shipml.facts.project import Project
from shipml.plan.launching import started_in, with_variables
from shipml.plan.misnamed import with_its_app, with_its_file
from shipml.plan.server_line import read_server_line
from shipml.plan.serving import health_path

__all__ = [
    "Command",
    "CommandLine",
    "path_to_ask",
    "read_command_line",
    "shell_reason",
    "split_command_line",
    "usual_port",
]

DEFAULT_PORT = "8080"
_SHELL = re.compile(r"[|&;<>`*?~(){}\[\]!\n]|\$\(")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?::?-(?P<default>[^}$]*))?\}|(?P<plain>[A-Za-z_]\w*))")
_SETUP = re.compile(r"(?:(?:sh|bash|source|\.)\s+)?(?P<path>[\w./-]+\.sh)\s*(?:&&|;)\s*")
_FOLDER = re.compile(r"cd\s+(?P<quote>[\"']?)(?P<folder>[\w./-]+)(?P=quote)\s*(?:&&|;)\s*")
_ASSIGNED = re.compile(
    r"(?:export\s+(?P<exported>[A-Za-z_]\w*)=(?P<before>'[^']*'|\"[^\"$`\\]*\"|[\w./:,@%+=-]*)\s*(?:&&|;)"
    r"|(?P<name>[A-Za-z_]\w*)=(?P<value>'[^']*'|\"[^\"$`\\]*\"|[\w./:,@%+=-]*)(?=\s))\s*"
)
_UNREAD = re.compile(r"[A-Za-z_]\w*=|(?:cd|export|source|\.)\s")
"""What begins a line that a launcher cannot start."""


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
    rivals: tuple[Program, ...] = ()
    """Programs that are about as likely as the one that is run."""
    fixed: str = ""
    """What its line names that is not there, and what is run instead: a sentence without full stop."""
    doubt: str = ""
    """Why another could be meant as well: a sentence without full stop; "" where it is clear."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line, and what stands before its program."""

    text: str
    """The program and its arguments."""
    folder: str = ""
    """Where it is started, relative to the project: of `cd backend &&`."""
    environment: tuple[tuple[str, str], ...] = ()
    """Of `NAME=value program`, and of `export NAME=value &&`."""
    sets_up: bool = False
    """Whether a script stood before it that only writes Streamlit's settings."""


def split_command_line(project: Project, line: str) -> CommandLine:
    """The line without what a launcher does for it, or nobody need do: `sh setup.sh && cd web && A=1 python x.py`."""
    found = CommandLine(line.strip())
    folders = {path.rpartition("/")[0] for path in project.files_by_path}
    folders |= {"/".join(one.split("/")[:depth]) for one in folders for depth in range(1, one.count("/") + 1)}
    while True:
        text = found.text.removeprefix("exec ").strip()
        if (match := _SETUP.match(text)) and match["path"].removeprefix("./") in project.streamlit_setups:
            found = replace(found, sets_up=True)
        elif (match := _FOLDER.match(text)) and _joined(found.folder, match["folder"]) in folders | {""}:
            found = replace(found, folder=_joined(found.folder, match["folder"]))
        elif match := _ASSIGNED.match(text):
            name, value = match["exported"] or match["name"], match["before"] or match["value"] or ""
            found = replace(found, environment=(*found.environment, (name, value.strip("'\""))))
        else:
            return replace(found, text=text)
        found = replace(found, text=text[match.end() :])


def _joined(folder: str, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(folder, path))
    return "" if joined in {".", "/app"} else joined.removeprefix("/app/")


def read_command_line(project: Project, line: str, source: str, *, with_shell: bool, is_web: bool = False) -> Command:
    """One string as a command; `is_web` says that it is a server whatever it looks like."""
    because = f"{source} says so"
    read = split_command_line(project, line)
    text = read.text
    if read.sets_up:
        because += "; what only writes Streamlit's settings is left out"
    needs_shell = shell_reason(text)
    if needs_shell and with_shell:
        port = usual_port(project, {}) if is_web or re.search(r"\$\{?PORT\b", text) else None
        environment = (("PORT", str(port)),) if port else ()
        return Command(("/bin/sh", "-c", line), f"{because}; {needs_shell} needs a shell", environment, port)
    if needs_shell:
        raise PlanError(
            f"the command in {source} needs a shell for {needs_shell}, and the image has none: {line}",
            hint="write the program and its arguments alone, put variables under [env], or build with --with-shell",
        )
    return _without_shell(project, read, source, because, is_web=is_web)


def shell_reason(text: str) -> str:
    """What only a shell could do in `text`, as a phrase; "" where it is plain."""
    unquoted = _unquoted(_VARIABLE.sub("", text))
    if match := _SHELL.search(unquoted):
        return f'"{match[0]}"'
    return f'"{text.split(maxsplit=1)[0]}"' if _UNREAD.match(text) else ""


def _unquoted(text: str) -> str:
    """`text` without what stands in quotation marks or behind a backslash."""
    return re.sub(r"'[^']*'|\"(?:[^\"\\`]|\\.)*\"|\\.", "", text, flags=re.DOTALL)


def _without_shell(project: Project, line: CommandLine, source: str, because: str, *, is_web: bool) -> Command:
    """The command with its variables kept: a launcher fills them in; what they default to is in the image."""
    try:
        words = shlex.split(line.text)
    except ValueError as error:
        raise PlanError(f"the command in {source} has an open quotation: {line.text}", hint="close it") from error
    fixed = ""
    if source != project.settings.source:  # what the settings say is meant
        words, fixed = with_its_file(project, words, line.folder)
    server = read_server_line(words)
    if server is not None:
        because += f"; with {shlex.join(server.added)}, so that it can be reached" if server.added else ""
        words = [*server.words]
        if source != project.settings.source:
            words, moved = with_its_app(project, server, line.folder)
            fixed = fixed or moved
    because += f"; {fixed}" if fixed else ""
    known = dict(line.environment) | dict(project.settings.environment)
    used = _variables(project, words, source, known)
    listens_at = _VARIABLE.sub(lambda match: used.get(_name(match), ""), server.port) if server else ""
    if is_web or listens_at:
        used.setdefault("PORT", known.get("PORT") or listens_at or str(_started_port(project, words)))
    port = listens_at or used.get("PORT", "")
    filled_in = with_variables([_VARIABLE.sub(lambda match: f"${{{_name(match)}}}", word) for word in words])
    environment = dict(line.environment) | used
    number = int(port) if port.isdecimal() else None
    return Command(
        started_in(line.folder, filled_in),
        because,
        tuple(
            sorted(
                (name, value) for name, value in environment.items() if name not in dict(project.settings.environment)
            )
        ),
        number,
        path_to_ask(project, tuple(words), line.folder) if number else "",
        fixed=f"{source}: {fixed}" if fixed else "",
    )


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
            default = used.get(name) or str(usual_port(project, known))
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
    return next(said, usual_port(project, {}))


def path_to_ask(project: Project, arguments: tuple[str, ...], folder: str = "") -> str:
    """The path that must answer of the app that a command line names (`gunicorn app:app`); "" where none is known."""
    words = {word.partition(":")[0].partition("(")[0] for word in arguments}
    for program in project.programs:
        path = program.path.removeprefix(f"{folder}/")
        names = {path, program.module, path.removesuffix(".py").replace("/", ".")}
        if program.kind not in {"script", "notebook", "django"} and names & words:
            return health_path(program)
    return ""


def usual_port(project: Project, known: Mapping[str, str]) -> int:
    """Where a server listens that is told nothing."""
    return project.settings.smoke.port or int(known.get("PORT", DEFAULT_PORT))
