"""What code does with the packages that it imports, by name and literal arguments: from the syntax tree alone.

`pd.read_excel("a.xls", sheet_name=0)` is the use `pandas.read_excel` with `a.xls` and `sheet_name=0`;
`table.to_excel(…)` of an unknown object is `.to_excel`.
"""

from __future__ import annotations

import ast
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    every = [(path, parts_of(folder, path)) for path in paths]
    shared = _constants(every)
    for path, parts in every:
        names = CodeNames.of([tree for _, tree in parts])
        names.shared = shared
        uses = [use for cell, tree in parts for use in _uses(tree, names, path, cell, wanted)]
        found.append(FileUses(path, names.roots, tuple(uses)))
    return tuple(found)


def _constants(files: Iterable[tuple[str, Sequence[tuple[int, ast.Module]]]]) -> dict[str, list[ast.expr]]:
    """What is assigned at the top of each module, by `module.NAME`: settings have files of their own."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for path, parts in files:
        module = path.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]
        for _, tree in parts:
            for name, value in (one for node in tree.body for one in _bound(node)):
                found[f"{module}.{name}"].append(value)
    return found


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
    shared: Mapping[str, list[ast.expr]] = field(default_factory=dict)
    """`module.NAME` → what is assigned to it at the top of that module of the project."""

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
            else:
                for name, value in _bound(node):
                    names.values[name].append(value)
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

    def _values_of(self, node: ast.expr) -> list[ast.expr]:
        """What is bound to a name here; to one of another module of the project; to an attribute anywhere here."""
        own = self.values.get(_name_of(node), []) if isinstance(node, ast.Name | ast.Attribute) else []
        if own or not isinstance(node, ast.Name | ast.Attribute):
            return own
        return self.shared.get(".".join(self.dotted(node).split(".")[-2:]), [])

    def texts(self, node: ast.expr) -> Iterator[str]:
        """What an expression may come to as a string."""
        return self._texts(node, set(), 0)

    def _texts(self, node: ast.expr, seen: set[int], depth: int) -> Iterator[str]:
        """Each node is looked at once: names may be bound to themselves, in many ways."""
        if depth > _DEEPEST or id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, ast.Constant):
            yield str(node.value)[:_LONGEST]
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else UNKNOWN for one in node.values)
        elif isinstance(node, ast.BinOp):
            joint = "/" if isinstance(node.op, ast.Div) else ""
            left, right = (next(self._texts(one, seen, depth + 1), UNKNOWN) for one in (node.left, node.right))
            yield f"{left}{joint}{UNKNOWN if isinstance(node.op, ast.Mod) else right}"
        elif inner := self._values_of(node) or _inner(node):
            for one in inner[:_MOST_TEXTS]:
                yield from self._texts(one, seen, depth + 1)
        else:
            yield (self.dotted(node) if isinstance(node, ast.Name | ast.Attribute) else "") or UNKNOWN


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) that a statement binds: assigned, looped over, or a parameter's default; `.name` of an object."""
    if isinstance(node, ast.Assign):
        yield from ((name, node.value) for target in node.targets if (name := _name_of(target)))
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield _name_of(node.target), node.value
    elif isinstance(node, ast.For | ast.comprehension):
        yield _name_of(node.target), node.iter
    elif isinstance(node, ast.arguments):
        last = [*node.posonlyargs, *node.args][-len(node.defaults) :] if node.defaults else []
        yield from ((one.arg, value) for one, value in zip(last, node.defaults, strict=True))
        keywords = zip(node.kwonlyargs, node.kw_defaults, strict=True)
        yield from ((one.arg, value) for one, value in keywords if value is not None)


def _name_of(target: ast.expr) -> str:
    """`name`, `.name` of an attribute; "" for anything else, which nobody asks for."""
    return target.id if isinstance(target, ast.Name) else f".{target.attr}" if isinstance(target, ast.Attribute) else ""


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
