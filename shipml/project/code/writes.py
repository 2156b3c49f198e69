"""Which files a program writes, as far as literal names tell: read from the syntax tree, nothing is run."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator, Mapping

__all__ = ["PathNames", "written_files"]

_SAVES = ("dump", "save", "to_", "write_", "export")
"""How the methods begin that write the file that they are given: joblib.dump, torch.save, to_csv, write_image."""
_OF_PATH = frozenset({"write_text", "write_bytes", "touch"})
_JOINS = frozenset({"Path", "PurePath", "join", "joinpath"})
_SAME = frozenset({"str", "fspath", "abspath", "resolve", "absolute"})
_MODE = 1
"""Where open() has its mode."""
_LONGEST = 300
_DEEPEST = 20


def written_files(path: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(file, `FILE:LINE`) of what the module at `path` writes, relative to the project or as written.

    Names that are built from literals, from constants at the module's top and from `__file__` are understood.
    """
    names = PathNames(path, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for target in _targets(node):
                name = names.value(target)
                if name and "\n" not in name and len(name) <= _LONGEST:
                    yield posixpath.normpath(name), f"{path}:{node.lineno}"


def _targets(call: ast.Call) -> Iterator[ast.expr]:
    """The expressions that name a file that the call writes."""
    function = call.func
    name = (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
    if name == "open":
        of_path = isinstance(function, ast.Attribute) and not isinstance(function.value, ast.Name)
        position = 0 if of_path else _MODE
        modes = [*call.args[position : position + 1], *(one.value for one in call.keywords if one.arg == "mode")]
        if any(isinstance(one, ast.Constant) and set("wax") & set(str(one.value)) for one in modes):
            yield from [function.value] if of_path and isinstance(function, ast.Attribute) else call.args[:1]
    elif name in _OF_PATH and isinstance(function, ast.Attribute):
        yield function.value
    elif name.startswith(_SAVES):
        yield from call.args[:2]
        yield from (one.value for one in call.keywords if one.arg is not None)


class PathNames:
    """What expressions come to that name a file."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self._path = path
        self._constants: Mapping[str, ast.expr] = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def value(self, node: ast.expr, depth: int = 0) -> str:
        """The name; "" where it cannot be told."""
        found = ""
        if depth > _DEEPEST:
            return found
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = node.value
        elif isinstance(node, ast.Name):
            known = self._constants.get(node.id)
            found = self._path if node.id == "__file__" else self.value(known, depth + 1) if known else ""
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found = self._joined([node.left, node.right], depth)
        elif isinstance(node, ast.Attribute) and node.attr == "parent":
            found = self._folder(node.value, depth)
        elif isinstance(node, ast.Call):
            found = self._of_call(node, depth)
        return found

    def _of_call(self, node: ast.Call, depth: int) -> str:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in _SAME:
            inner = node.args[:1] or ([function.value] if isinstance(function, ast.Attribute) else [])
            return self.value(inner[0], depth + 1) if inner else ""
        if name == "dirname" and node.args:
            return self._folder(node.args[0], depth)
        if name == "joinpath" and isinstance(function, ast.Attribute):
            return self._joined([function.value, *node.args], depth)
        return self._joined(node.args, depth) if name in _JOINS and node.args else ""

    def _folder(self, node: ast.expr, depth: int) -> str:
        inner = self.value(node, depth + 1)
        return (posixpath.dirname(inner) or ".") if inner else ""

    def _joined(self, nodes: list[ast.expr], depth: int) -> str:
        parts = [self.value(node, depth + 1) for node in nodes]
        return posixpath.join(*parts) if all(parts) else ""
