"""Every sentence that shipml shows, read from its source: `python tests/wordings.py` writes tests/wordings.txt.

A sentence is changed in one place, and the difference of that file shows it to whoever reviews.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["SNAPSHOT", "catalogue", "sentences"]

_PACKAGE = Path(__file__).parents[1] / "shipml"
SNAPSHOT = Path(__file__).with_suffix(".txt")
_CALLS = ("Notice", "Decision", "Option", "Argument", "Correction", "worded")
"""What shows its text to users, beside errors (`…Error`)."""
_KEYWORDS = {"hint", "help", "because", "detail", "message"}


def catalogue() -> str:
    """The whole snapshot: a file's name, then its sentences, as often as they are written."""
    parts = []
    for path in sorted(_PACKAGE.rglob("*.py")):
        found = sorted(sentences(path))
        if found:
            parts.append("\n".join([path.relative_to(_PACKAGE).as_posix(), *(f"  {text}" for text in found)]))
    return "\n\n".join(parts) + "\n"


def sentences(path: Path) -> Iterator[str]:
    """The sentences of one file; an expression in one stands as `{}`."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [keyword.value for keyword in node.keywords if keyword.arg in _KEYWORDS]
        if name.endswith("Error") or name in _CALLS:
            texts += node.args
        for value in texts:
            text = _text(value)
            if " " in text.strip():
                yield text.replace("\n", "\\n")


def _text(value: ast.expr) -> str:
    """A string as it is written; "" for what is none."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "{}" for part in value.values)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        left, right = _text(value.left), _text(value.right)
        return f"{left or '{}'}{right or '{}'}" if left or right else ""
    if isinstance(value, ast.IfExp):
        return " | ".join(filter(None, (_text(value.body), _text(value.orelse))))
    return ""


if __name__ == "__main__":
    SNAPSHOT.write_text(catalogue(), encoding="utf-8")
