"""Which of a project's programs is run: the likeliest, why, and which others could be meant. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from shipml.errors import PlanError
from shipml.facts.programs import Program, ProgramKind, RunEvidence, RunEvidenceKind
from shipml.facts.project import Project
from shipml.text import listed

__all__ = ["Choice", "choose_program", "typed_command"]

_Rank: TypeAlias = tuple[int, ...]
_NAMES = (
    *("app", "main", "streamlit_app", "wsgi", "asgi", "server", "api", "run", "home", "index", "predict", "train"),
    *("serve", "web", "webapp", "demo", "chat", "chatbot", "dashboard", "inference", "score", "scoring", "training"),
    *("pipeline", "evaluate", "fit", "model"),
)
"""Of programs, the likeliest first."""
_ALONE = frozenset({"index", "home"})
"""Those that tell nothing as a part of a longer name."""
_STORES = frozenset({"storage", "deploy", "deployment", "deploying", "upload", "download", "migrate", "seed", "setup"})
"""Words in the names of files that put things somewhere: they come last, whatever speaks for them."""
_HELPERS = (
    _STORES
    | {"util", "utils", "helper", "helpers", "config", "settings", "database", "db", "constants", "logger", "schema"}
    | {"schemas", "types", "version", "plot", "plots", "paths", "preprocess", "preprocessing", "dataset", "eda", "fig"}
    | {"scraper", "scrape", "scraping", "explore", "exploration", "visualize", "visualization", "split", "template"}
    | {"sandbox", "figure", "figures"}
)
"""Words in the names of files that help a program, or come before it."""
_TIERS: Mapping[RunEvidenceKind, int] = MappingProxyType(
    {"readme": 0, "make": 1, "script": 2, "ci": 3, "compose": 4, "mlproject": 5}
)
_NO_TIER = len(_TIERS)
_SHOWN = 8
_WEB: frozenset[ProgramKind] = frozenset({"flask", "fastapi", "streamlit", "gradio", "dash", "django"})


@dataclass(frozen=True, slots=True)
class Choice:
    """What is run."""

    program: Program
    others: tuple[str, ...] = ()
    """The paths of those that could be meant as well, the likeliest first."""
    because: str = ""
    """What says that it is run: a clause ("README.md:12 runs it"); "" where its name or kind decides."""
    arguments: tuple[str, ...] = ()
    """What it is given there."""
    rivals: tuple[Program, ...] = ()
    """Those that are about as likely."""

    @property
    def doubt(self) -> str:
        """The sentence that names the rivals, without full stop; "" where there are none."""
        if not self.rivals:
            return ""
        paths = [self.program.path, *(one.path for one in self.rivals)]
        why = f" ({self.because})" if self.because else ""
        return f"several programs could be meant, {listed(paths, most=_SHOWN)}, and {self.program.path} is run{why}"


def choose_program(project: Project) -> Choice:
    """The likeliest program.

    An app that a server serves comes before a script, a notebook last; then what the project's own texts run, the
    README first; then what lies near the root; then the telling name. What stores or deploys comes last.

    Raises:
        PlanError: there is no program.
    """
    evidence = _evidence(project.run_evidence)
    programs = [one for one in project.programs if not one.is_imported or one.path in evidence]
    order = [*evidence]
    ranked = sorted(
        (_rank(one, shown := evidence.get(one.path, ()), order.index(one.path) if shown else 0), one)
        for one in programs or project.programs
    )
    if not ranked:
        raise PlanError(
            f"there is nothing to run in {project.folder}: no program in Python, no notebook, no Procfile",
            hint='add an app.py, or say what to run in shipml.toml: command = ["python", "-m", "my_package"]',
        )
    asked = [one for one in ranked if one[1].path == project.chosen_program]
    (best, program), *rest = [*asked, *(one for one in ranked if one not in asked)]
    others = tuple(other.path for _, other in rest if other.kind != "script" or other.runs_itself)
    if asked:
        return Choice(program, others, "you chose it")
    shown = evidence.get(program.path, ())
    because = f"{shown[0].source} runs it" if shown else ""
    rivals = tuple(other for rank, other in rest if _is_rival(best, rank))
    arguments = shown[0].arguments if shown and program.kind == "script" else ()
    return Choice(program, others, because, arguments, rivals)


def typed_command(program: Program) -> str:
    """How one would start `program` at home, as a command line for the settings."""
    app = f"{program.module}:{program.object}"
    lines: Mapping[ProgramKind, Sequence[str]] = {
        "streamlit": ("streamlit", "run", program.path),
        "django": ("python", program.path, "runserver"),
        "notebook": ("python", "-m", "nbconvert", "--to", "notebook", "--execute", program.path),
    }
    words = lines.get(program.kind, ("python", program.path))
    if program.kind == "fastapi" and program.object:
        words = ("uvicorn", *(("--factory",) if app.endswith("()") else ()), app.removesuffix("()"))
    elif program.kind == "flask" and program.object and not program.prepares_itself:
        words = ("gunicorn", app)
    elif program.kind == "script" and program.as_module:
        words = ("python", "-m", program.module)
    return shlex.join(words)


def _evidence(found: Sequence[RunEvidence]) -> dict[str, tuple[RunEvidence, ...]]:
    """By the file that is run, the strongest first."""
    by_path: dict[str, tuple[RunEvidence, ...]] = {}
    for one in found:
        by_path[one.path] = (*by_path.get(one.path, ()), one)
    return by_path


def _rank(program: Program, shown: Sequence[RunEvidence], position: int) -> _Rank:
    """What makes a program likely; the lowest is taken.

    Args:
        program: what could be run.
        shown: what says that it is.
        position: of the first of these among all that say something.
    """
    words = re.split(r"[^a-z]+", _stem(program))
    tier = min((_TIERS[one.kind] for one in shown), default=_NO_TIER)
    return (
        _kind(program, is_shown=bool(shown)),
        0 if _STORES.isdisjoint(words) else 1,
        tier,
        0 if shown or _HELPERS.isdisjoint(words) or _stem(program) in _NAMES else 1,
        0 if shown else program.path.count("/"),
        _telling(program, words),
        position if shown else 0,
        0 if program.runs_itself else 1,
    )


def _stem(program: Program) -> str:
    return program.path.rpartition("/")[2].rpartition(".")[0].lower()


def _kind(program: Program, *, is_shown: bool) -> int:
    if program.kind in _WEB:
        return 0 if is_shown else 1
    if program.kind == "notebook":
        return 3
    return 1 if _stem(program) in {"app", "main"} and "/" not in program.path else 2


def _telling(program: Program, words: Sequence[str]) -> int:
    """The place of a program's name in the list of telling ones; helpers come after those that say nothing."""
    if (stem := _stem(program)) in _NAMES:
        return _NAMES.index(stem)
    if not _HELPERS.isdisjoint(words):
        return len(_NAMES) + 1
    telling = [_NAMES.index(word) for word in words if word in _NAMES and word not in _ALONE]
    return min(telling, default=len(_NAMES))


def _is_rival(best: _Rank, other: _Rank) -> bool:
    """Whether nothing but a name, or the alphabet, decides between two."""
    *likely, name, _, _ = best
    *likely_too, other_name, _, _ = other
    return likely == likely_too and (name == other_name or max(name, other_name) < len(_NAMES))
