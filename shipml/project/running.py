"""Which of the project's code runs in the image, as far as its files tell before a command is chosen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from shipml.plan.facts import ProcessLine, PythonEvidence, Settings
from shipml.project.imports import Code
from shipml.project.inputs import Taken

__all__ = ["python_hints", "running_files"]

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
_PYTHON = re.compile(r"python\s*(?P<operator>[=<>!~]=?=?)\s*(?P<version>3[\d.]*)(?P<rest>(?:,.*|=\w+)?)")
_WORD = re.compile(r"(?<![\w:])[\w./-]+")


def running_files(code: Code, settings: Settings, processes: Sequence[ProcessLine]) -> tuple[str, ...]:
    """The files of the program: those that a command names and what they import of the project; else all at its top.

    A Django project imports by name what its settings say, so all of it counts. Notebooks count where there is
    nothing else.
    """
    paths = [path for path, _ in code.by_file]
    programs = [path for path in paths if path.endswith(".py")]
    if not programs or "manage.py" in programs:
        return tuple(programs or paths)
    lines = [settings.command_line or "", *settings.command, *(process.command for process in processes)]
    entries = [path for line in lines for path in _named(line, programs)]
    entries = entries or [path for path in _USUAL if path in programs]
    entries = entries or [path for path in programs if "/" not in path]
    return code.reachable(entries or programs)


def _named(line: str, programs: Iterable[str]) -> Iterator[str]:
    """Programs that a command line names: `python src/app.py`, `gunicorn files.app:app`, `python -m package.tool`."""
    known = frozenset(programs)
    for word in _WORD.findall(line):
        path = word.removeprefix("./")
        module = path.replace(".", "/")
        for candidate in (path, f"{module}.py", f"{module}/__init__.py", f"{module}/__main__.py", f"src/{module}.py"):
            if candidate in known:
                yield candidate


def python_hints(taken: Taken | None, code: Code) -> Iterator[PythonEvidence]:
    """What dependency files say of Python, then the kernels of notebooks."""
    if taken is not None:
        yield from taken.python
        for line in taken.found.requirements:
            if match := _PYTHON.fullmatch(line.text):
                yield _of_requirement(match, line.source)
    for path, version in code.kernels:
        yield PythonEvidence(version, f"{path}:1", "hint")


def _of_requirement(match: re.Match[str], source: str) -> PythonEvidence:
    """`python==3.9.5` in a requirements file installs nothing, and says what was meant."""
    if match["operator"].strip("=") == "" and match["version"].count("."):
        return PythonEvidence(match["version"], source, "version")
    rest = match["rest"] if match["rest"].startswith(",") else ""
    return PythonEvidence(f"{match['operator']}{match['version']}{rest}", source, "range")
