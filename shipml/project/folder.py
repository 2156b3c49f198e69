"""Whether a folder can be a project at all, looked at from outside: its name and what is at its top."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator
from pathlib import Path

from shipml.errors import UsageError
from shipml.text import listed

__all__ = ["require_folder", "require_project_folder"]

_DECLARATIONS = frozenset(
    {
        "Dockerfile",
        "dockerfile",
        "Containerfile",
        "Pipfile",
        "Procfile",
        "environment.yaml",
        "environment.yml",
        "pylock.toml",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "shipml.toml",
    }
)
_CODE = frozenset({".ipynb", ".py"})
_PROGRAMS = frozenset(
    f"{stem}.py" for stem in ("app", "main", "predict", "run", "serve", "server", "streamlit_app", "train")
)
_MOST_ENTRIES = 1000


def require_folder(folder: Path) -> None:
    """Refuse what is not a folder.

    Raises:
        UsageError: it does not exist, or is a file; the hint names the folder that may be meant.
    """
    if folder.is_dir():
        return
    meant: Path | None = folder.parent
    what = "is a file"
    if not folder.exists():
        there = [entry.name for entry in _entries(folder.parent) if entry.is_dir()]
        near = difflib.get_close_matches(folder.name, there, n=1)
        what, meant = "does not exist", folder.parent / near[0] if near else None
    hint = f"did you mean: {shlex.quote(_typed(meant))}" if meant else "name the folder that holds your program"
    raise UsageError(f"the project folder {folder} {what}", hint=hint)


def require_project_folder(folder: Path) -> None:
    """Refuse what is not one project: the root of the file system, a home folder, a folder that only holds projects.

    Raises:
        UsageError: it is one of these, or no folder; the hint names a command for each project in it.
    """
    require_folder(folder)
    resolved = folder.resolve()
    is_root = resolved == Path(resolved.anchor)
    if is_root or (resolved == _home() and not _is_project(resolved, declared=True)):
        what = "the root of the file system" if is_root else "your home folder"
        raise UsageError(f"{resolved} is {what}, not a project folder", hint="name the project: shipml build DIR")
    if _is_project(resolved):
        return
    inside = sorted(entry for entry in _entries(resolved) if _is_visible_folder(entry) and _is_project(entry))
    if sum(_stands_alone(entry) for entry in inside) > 1:
        commands = [f"shipml build {shlex.quote(_typed(folder / entry.name))}" for entry in inside]
        raise UsageError(
            f"{folder if folder != Path() else 'this folder'} holds several projects and is not one itself",
            hint=f"build one of them: {listed(commands, most=8)}",
        )


def _typed(path: Path) -> str:
    """The path as one types it."""
    return str(path) if path.is_absolute() or str(path).startswith(".") else f"./{path}"


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:
        return None


def _is_project(folder: Path, *, declared: bool = False) -> bool:
    """Whether the folder says what it depends on or, unless it must be `declared`, has code at its top."""
    return any(_declares(entry) or (not declared and entry.suffix in _CODE) for entry in _entries(folder))


def _stands_alone(folder: Path) -> bool:
    """Whether the folder is a project of its own, not a part of one: it declares something, or holds a program."""
    names = {entry.name for entry in _entries(folder)}
    return _is_project(folder, declared=True) or ("__init__.py" not in names and not _PROGRAMS.isdisjoint(names))


def _declares(entry: Path) -> bool:
    return entry.name in _DECLARATIONS or (entry.name.startswith("requirements") and entry.suffix in {".txt", ".in"})


def _is_visible_folder(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.is_dir() and not entry.is_symlink()


def _entries(folder: Path) -> Iterator[Path]:
    try:
        for number, entry in enumerate(folder.iterdir()):
            if number == _MOST_ENTRIES:
                return
            yield entry
    except OSError:
        return
