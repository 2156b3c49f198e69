"""Command lines that name a file or module of the project which is not there, corrected where only one can be meant."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Sequence

from shipml.errors import PlanError
from shipml.facts.programs import Program
from shipml.facts.project import Project
from shipml.plan.server_line import ServerLine
from shipml.plan.which import choose_program

__all__ = ["with_its_app", "with_its_file"]

_MOVED = ("--chdir", "--pythonpath", "--app-dir")


def with_its_file(project: Project, words: Sequence[str], folder: str) -> tuple[list[str], str]:
    """The words with the project's likeliest program where they start a file that is not there; and why.

    Args:
        project: the facts.
        words: `python main.py`, `streamlit run ui.py`, variables as written.
        folder: where they are started, relative to the project.
    """
    found = list(words)
    at = _file_at(found)
    if at < 0 or "$" in found[at] or found[at].startswith(("/", "~")):
        return found, ""
    written = found[at]
    path = posixpath.normpath(posixpath.join(folder, written))
    if path in project.files_by_path:
        return found, ""
    same = [one for one in project.files_by_path if one.rpartition("/")[2] == path.rpartition("/")[2]]
    right = same[0] if len(same) == 1 else _likeliest(project, is_streamlit=found[at - 1] == "run")
    if not right:
        return found, ""
    found[at] = posixpath.relpath(right, folder or ".")
    return found, f"{found[at]} in place of {written}, because there is no {path}"


def _file_at(words: Sequence[str]) -> int:
    """Which word is the file that Python or Streamlit runs; -1 for none."""
    name = words[0].rpartition("/")[2] if words else ""
    at = 1 if re.fullmatch(r"python[\d.]*", name) else -1
    if words[:2] == ["streamlit", "run"] or words[1:4] == ["-m", "streamlit", "run"]:
        at = words.index("run") + 1
    return at if 0 < at < len(words) and words[at].endswith(".py") else -1


def _likeliest(project: Project, *, is_streamlit: bool) -> str:
    try:
        choice = choose_program(project)
    except PlanError:
        return ""
    program = choice.program
    fits = program.kind == "streamlit" if is_streamlit else program.kind not in {"streamlit", "notebook"}
    return program.path if fits and not program.as_module and not choice.rivals else ""


def with_its_app(project: Project, server: ServerLine, folder: str) -> tuple[list[str], str]:
    """A server's words, with the project's likeliest app where they name a module that does not exist; and why.

    Args:
        project: the facts.
        server: its command line.
        folder: where it is started, relative to the project.
    """
    words = list(server.words)
    module, _, name = words[server.app_at].partition(":") if server.app_at >= 0 else ("", "", "")
    if not module or any(word.startswith(_MOVED) for word in words) or _may_exist(project, module, folder):
        return words, ""
    try:
        program = choose_program(project).program
    except PlanError:
        return words, ""
    if program.kind not in {"flask", "fastapi", "dash"} or not program.object:
        return words, ""
    right = _app(program)
    words[server.app_at] = right
    return words, f"{right} in place of {module}:{name}, because there is no module {module}"


def _app(program: Program) -> str:
    return f"{program.path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}:{program.object}"


def _may_exist(project: Project, module: str, folder: str) -> bool:
    """Whether a module is one of the project's files, or could be one of a package."""
    known = project.files_by_path
    top, _, rest = module.partition(".")
    starts = [start for start in dict.fromkeys((folder, "", "src")) if _is_there(known, posixpath.join(start, top))]
    if not starts:
        nested = {part for path in known for part in (path.removesuffix(".py")).split("/")}
        asked = project.requirements.requirements if project.requirements is not None else ()
        packages = [*(one.name for one in asked), *(one.name for one in project.distributions)]
        return top in nested or top.lower() in {name.replace("-", "_").lower() for name in packages}
    return not rest or any(_is_there(known, posixpath.join(start, module.replace(".", "/"))) for start in starts)


def _is_there(known: Collection[str], stem: str) -> bool:
    """As a module, or as a folder with or without __init__.py."""
    return f"{stem}.py" in known or stem in known or any(path.startswith(f"{stem}/") for path in known)
