"""What setup.py hands to setup(): read from its syntax, never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping

__all__ = ["setup_keywords"]

_LIMIT = 128 << 10
"""Characters or bytes of a file that is looked at: of a longer one nothing is known."""
_FOLLOWED_NAMES = 10
"""Names that stand for names, at most: a chain is finite, and may be a circle."""


def setup_keywords(source: str | bytes) -> Mapping[str, ast.expr]:
    """The keyword arguments of setup(), each as the expression that is meant: a name that is given one stands for it.

    Of a file that does not parse nothing is known.
    """
    try:
        tree = ast.parse(source if len(source) <= _LIMIT else "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: too many brackets in brackets
        return {}
    names: dict[str, ast.expr] = {}
    keywords: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Call) and _name(node.func) == "setup":
            keywords |= {one.arg: one.value for one in node.keywords if one.arg}
    return {keyword: _meant(value, names) for keyword, value in keywords.items()}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _meant(node: ast.expr, names: Mapping[str, ast.expr]) -> ast.expr:
    for _ in range(_FOLLOWED_NAMES):
        if not isinstance(node, ast.Name) or node.id not in names:
            break
        node = names[node.id]
    return node
