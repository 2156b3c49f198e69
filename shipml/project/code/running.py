"""How a file is run: as a module of its package, with a shell, or to no effect; and which notebooks are Python's."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from shipml.reading import read_data

__all__ = ["calls_nothing", "calls_shell", "is_python_notebook", "is_relative", "package_folder"]

_SHELL_LINE = re.compile(
    r"^[ \t]*(?:\w+[ \t]*=[ \t]*)?!(?![ \t]*(?:\S*python\S*\s+-m\s+)?(?:uv\s+)?pip\d?\s)"
    r"|^%%(?:bash|sh|script)\b|^[ \t]*%sx\b",
    re.MULTILINE,
)


def package_folder(path: str, known: frozenset[str]) -> str | None:
    """Where the package lies that a file is a module of: the folder above the topmost __init__.py; None for none."""
    folder = path.rpartition("/")[0]
    if f"{folder}/__init__.py" not in known and not path.endswith("/__main__.py"):
        return None
    while folder and f"{folder}/__init__.py" in known:
        folder = folder.rpartition("/")[0]
    return folder.rpartition("/")[0] if path == f"{folder}/__main__.py" else folder


def is_relative(tree: ast.Module) -> bool:
    """Whether a module imports its neighbours relatively."""
    return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)


def calls_nothing(tree: ast.Module) -> bool:
    """Whether no statement at the top calls anything but to bind a name: the file has only definitions."""
    return all(
        isinstance(node, _DEFINES)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and not any(isinstance(one, ast.Call) for one in ast.walk(node))
        )
        for node in tree.body
    )


def calls_shell(path: Path) -> bool:
    """Whether a notebook has `!command` lines, or cells for a shell, other than those that install packages."""
    try:
        cells = json.loads(read_data(path)).get("cells", ())
        sources = ["".join(cell.get("source", "")) for cell in cells if cell.get("cell_type") == "code"]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False
    return any(_SHELL_LINE.search(source) for source in sources)


def is_python_notebook(path: Path) -> bool:
    """By the notebook's own metadata (nbformat 4, "kernelspec"); one that does not say is Python's."""
    try:
        metadata = json.loads(read_data(path)).get("metadata", {})
        return str(metadata.get("kernelspec", {}).get("language") or "python").lower() == "python"
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
