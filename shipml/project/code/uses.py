"""What code does with the packages that it imports, by name and literal arguments: from the syntax tree alone.

`pd.read_excel("a.xls", sheet_name=0)` is the use `pandas.read_excel` with `a.xls` and `sheet_name=0`;
`table.to_excel(…)` of an unknown object is `.to_excel`.
"""

from __future__ import annotations

import ast
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from shipml.errors import ConfigurationError
from shipml.project.code.notebooks import read_notebook
from shipml.project.text import read_any_text

__all__ = ["CodeNames", "FileUses", "Use", "UseKind", "find_uses", "parts_of"]

_LIMIT_BYTES = 1 << 20
_LONGEST = 300
_DEEPEST = 8
_MOST_TEXTS = 40
"""Of one argument: more are data, not names."""
UNKNOWN = "…"
"""Stands in a text for what only the running program knows."""

UseKind: TypeAlias = Literal["import", "name", "text"]


@dataclass(frozen=True, slots=True)
class Use:
    """One place."""

    kind: UseKind
    """What is imported; what is called or named otherwise; a string anywhere in the code."""
    name: str
    """With dots: `pandas.read_excel`, `.to_excel`; of a string itself."""
    source: str
    """`FILE:LINE`; of a notebook `FILE:CELL`."""
    arguments: tuple[str, ...] = ()
    """Of a call, as far as literals tell: `a.xls`, `engine=xlrd`, of a list each; `…` for what is not known."""
    is_call: bool = False
    top_level: bool = True
    """Whether it is used when its file is imported: not only in functions."""


@dataclass(frozen=True, slots=True)
class FileUses:
    """The uses in one file."""

    path: str
    roots: frozenset[str]
    """Top-level modules that it imports, under conditions too."""
    uses: tuple[Use, ...]
    """In the order of lines."""


def find_uses(folder: Path, paths: Iterable[str], wanted: Callable[[UseKind, str], bool]) -> tuple[FileUses, ...]:
    """The uses in the programs and notebooks `paths`, those alone that are `wanted`.

    Args:
        folder: the project's root.
        paths: relative to it.
        wanted: by kind and name.
    """
    found = []
    for path in paths:
        parts = parts_of(folder, path)
        names = CodeNames.of([tree for _, tree in parts])
        uses = [use for cell, tree in parts for use in _uses(tree, names, path, cell, wanted)]
        found.append(FileUses(path, names.roots, tuple(uses)))
    return tuple(found)


def parts_of(folder: Path, path: str) -> Sequence[tuple[int, ast.Module]]:
    """(number of the cell, 0 for a program, and its tree)."""
    if path.endswith(".ipynb"):
        notebook = read_notebook(folder, path)
        cells = notebook.cells if notebook is not None else ()
        parsed = [(number, _parse(source)) for number, source in cells]
    else:
        parsed = [(0, _parse(_text(folder, path)))]
    return [(number, tree) for number, tree in parsed if tree is not None]


def _text(folder: Path, path: str) -> str:
    try:
        if (folder / path).stat().st_size > _LIMIT_BYTES:
            return ""
        found = read_any_text(folder, path)
    except (OSError, ConfigurationError):
        return ""
    return found[0] if found is not None else ""


def _parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@dataclass(slots=True)
class CodeNames:
    """What the names of a file stand for."""

    modules: dict[str, str] = field(default_factory=dict)
    """Name → what it was imported as, with dots."""
    values: dict[str, list[ast.expr]] = field(default_factory=lambda: defaultdict(list))
    """Name → what is assigned to it, anywhere."""
    roots: frozenset[str] = frozenset()

    @classmethod
    def of(cls, trees: Sequence[ast.Module]) -> CodeNames:
        """Of all parts of a file together."""
        names, roots = cls(), set()
        for node in (node for tree in trees for node in ast.walk(tree)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    roots.add(root)
                    names.modules[alias.asname or root] = alias.name if alias.asname else root
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                roots.add(node.module.partition(".")[0])
                for alias in node.names:
                    names.modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        names.values[target.id].append(node.value)
        names.roots = frozenset(roots)
        return names

    def dotted(self, node: ast.expr) -> str:
        """`pandas.read_excel`; `.to_excel` where it is a method of what is not known; "" for neither."""
        words: list[str] = []
        while isinstance(node, ast.Attribute):
            words.append(node.attr)
            node = node.value
        base = self.modules.get(node.id, "") if isinstance(node, ast.Name) else ""
        if not base and not words:
            return ""
        return ".".join([base, *reversed(words)])

    def texts(self, node: ast.expr, depth: int = 0) -> Iterator[str]:
        """What an expression may come to as a string."""
        if depth > _DEEPEST:
            yield UNKNOWN
        elif isinstance(node, ast.Constant):
            yield str(node.value)[:_LONGEST]
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else UNKNOWN for one in node.values)
        elif isinstance(node, ast.BinOp):
            joint = "/" if isinstance(node.op, ast.Div) else ""
            left, right = (next(self.texts(one, depth + 1), UNKNOWN) for one in (node.left, node.right))
            yield f"{left}{joint}{UNKNOWN if isinstance(node.op, ast.Mod) else right}"
        elif isinstance(node, ast.Name) and node.id in self.values:
            for value in self.values[node.id][:_MOST_TEXTS]:
                yield from self.texts(value, depth + 1)
        elif inner := _inner(node):
            for one in inner[:_MOST_TEXTS]:
                yield from self.texts(one, depth + 1)
        elif dotted := self.dotted(node):
            yield dotted
        else:
            yield UNKNOWN


def _inner(node: ast.expr) -> list[ast.expr]:
    """What an expression chooses from or is made of: elements, alternatives, arguments (`os.getenv("A", "b")`)."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return node.elts
    if isinstance(node, ast.Dict):
        return node.values
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.Call):
        return [*node.args[::-1], *(one.value for one in node.keywords)]
    return []


def _uses(
    tree: ast.Module, names: CodeNames, path: str, cell: int, wanted: Callable[[UseKind, str], bool]
) -> Iterator[Use]:
    todo: list[tuple[ast.AST, bool]] = [(tree, True)]
    while todo:
        node, top_level = todo.pop()
        source = f"{path}:{cell or getattr(node, 'lineno', 0)}"
        for kind, name in _said(node, names):
            if wanted(kind, name):
                arguments = tuple(_arguments(node, names)) if isinstance(node, ast.Call) else ()
                yield Use(kind, name, source, arguments, isinstance(node, ast.Call), top_level)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        below = [(one, top_level and not inside) for one in _below(node)]
        todo += reversed(below)


def _said(node: ast.AST, names: CodeNames) -> Iterator[tuple[UseKind, str]]:
    """What one node says by itself."""
    if isinstance(node, ast.Import):
        yield from (("import", alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield "import", node.module
        yield from (("import", f"{node.module}.{alias.name}") for alias in node.names)
    elif isinstance(node, ast.Call):
        yield "name", names.dotted(node.func)
    elif isinstance(node, ast.Attribute | ast.Name):
        yield "name", names.dotted(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= _LONGEST:
        yield "text", node.value


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes in a node, without the name that a call calls, attributes of attributes, and documentation."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
            continue
        inner: ast.AST = one
        if (isinstance(node, ast.Call) and one is node.func) or isinstance(node, ast.Attribute):
            while isinstance(inner, ast.Attribute):
                inner = inner.value
            if isinstance(inner, ast.Name):
                continue
        yield inner


def _arguments(call: ast.Call, names: CodeNames) -> Iterator[str]:
    for one in call.args:
        yield from names.texts(one)
    for keyword in call.keywords:
        prefix = f"{keyword.arg}=" if keyword.arg else ""
        yield from (f"{prefix}{text}" for text in names.texts(keyword.value))
