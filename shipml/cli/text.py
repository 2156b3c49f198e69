"""Figures and tables as people read them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["columns", "printable"]

_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"@]+@")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Lines with the cells of each column under one another, two spaces apart; the last column is not padded."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    widths[-1] = 0
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def printable(text: str) -> str:
    """`text` without credentials in URLs, and with control characters escaped: names come from strangers' files."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", _CREDENTIALS.sub("***@", text))
