"""Which files of a project run: those of the program that is run, and what they import of the project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from shipml.facts.programs import RunEvidence
from shipml.facts.project import ProcessLine, Settings
from shipml.project.code.imports import Code, Imported, files_of

__all__ = ["running_files", "script_file", "surely_running"]

_USUAL = (
    "app.py",
    "main.py",
    "streamlit_app.py",
    "server.py",
    "api.py",
    "wsgi.py",
    "asgi.py",
    "application.py",
    "run.py",
)
_ENTERED = re.compile(r"\s*cd\s+(?:\./)?([\w./-]+)")
_WORD = re.compile(r"(?<![\w:])[\w./-]+")


def running_files(code: Code, settings: Settings, processes: Sequence[ProcessLine], entry: str = "") -> tuple[str, ...]:
    """The files of the program: those that a command names and what they import of the project; else all at its top.

    A Django project imports by name what its settings say, so all of it counts. Notebooks count where there is
    nothing else.

    Args:
        code: of the project.
        settings: whose command names files.
        processes: of the Procfile, or of the Dockerfile that is followed.
        entry: the program that is run where neither names one; "" where that is not known.
    """
    paths = [path for path, _ in code.by_file]
    programs = [path for path in paths if path.endswith(".py")]
    if not programs or "manage.py" in programs or entry.endswith("/manage.py"):
        return tuple(programs or paths)
    named = [*_commanded(programs, settings, processes)]
    if not named and entry:
        pages = f"{entry.rpartition('/')[0]}/pages/".removeprefix("/")  # of Streamlit: run when somebody opens them
        named = [entry, *(path for path in programs if path.startswith(pages))]
    return code.reachable(named or _entries(programs, settings, processes) or programs)


def surely_running(
    code: Code, settings: Settings, processes: Sequence[ProcessLine], evidence: Sequence[RunEvidence] = ()
) -> frozenset[str]:
    """The files that run whichever of the possible programs is chosen, and those that the project's texts run first."""
    programs = [path for path, _ in code.by_file if path.endswith(".py")]
    if not [*_commanded(programs, settings, processes)] and evidence:
        return frozenset(code.reachable([evidence[0].path]))
    reached = [frozenset(code.reachable([entry])) for entry in _entries(programs, settings, processes)]
    return frozenset.intersection(*reached) if reached else frozenset()


def script_file(target: str, code: Code) -> str:
    """The file of a command that the project's metadata names (`churn.train:main`); "" where it is not its own."""
    module = Imported(target.partition(":")[0].strip(), 0, optional=False, top_level=True)
    return ["", *files_of("", module, dict(code.by_file))][-1]


def _commanded(programs: Sequence[str], settings: Settings, processes: Sequence[ProcessLine]) -> Iterator[str]:
    """The programs that a command of the settings, the Procfile or the Dockerfile names."""
    lines = [settings.command_line or "", *settings.command, *(process.command for process in processes)]
    yield from (path for line in lines for path in _named(line, programs))


def _entries(programs: Sequence[str], settings: Settings, processes: Sequence[ProcessLine]) -> list[str]:
    """The programs that may be meant: those that commands name, else those of usual names, else all at the top."""
    entries = [*_commanded(programs, settings, processes)] or [path for path in _USUAL if path in programs]
    return entries or [path for path in programs if "/" not in path]


def _named(line: str, programs: Iterable[str]) -> Iterator[str]:
    """Programs that a command line names: `python src/app.py`, `gunicorn files.app:app`, `python -m package.tool`."""
    known = frozenset(programs)
    entered = _ENTERED.match(line)
    folder = f"{entered[1].strip('/')}/" if entered else ""
    for word in _WORD.findall(line):
        path = f"{folder}{word.removeprefix('./')}"
        module = folder + word.removeprefix("./").replace(".", "/")
        for candidate in (path, f"{module}.py", f"{module}/__init__.py", f"{module}/__main__.py", f"src/{module}.py"):
            if candidate in known:
                yield candidate
