"""Figures and tables as people read them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["columns", "printable", "wrapped"]

_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"@]+@")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def columns(rows: Sequence[Sequence[str]], *, indent: str = "", width: int | None = None) -> list[str]:
    """Lines with the cells of each column under one another, two spaces apart; the last column is not padded.

    With a `width` the words of the last column go on below it where a line would be longer.
    """
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    widths[-1] = 0
    lines = [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]
    hanging = len(indent) + sum(widths) + 2 * (len(widths) - 1)
    return [wrapped(line, width, hanging) for line in lines]


_LEAST_WORDS = 24
"""Characters: where there is less room for words, a terminal wraps better than we do."""


def wrapped(text: str, width: int | None, hanging: int) -> str:
    """`text` with line breaks between words, so that no line is longer than `width`; None for no breaks.

    Lines after the first begin with `hanging` spaces. A word that is longer than a line is not cut: it may be an
    address that somebody copies.
    """
    if width is None or width - hanging < _LEAST_WORDS:
        return text
    lines = []
    for line in text.split("\n"):
        left, floor = line, max(hanging, len(line) - len(line.lstrip()))
        while len(left) > width:
            cut = left.rfind(" ", floor + 1, width + 1)
            if cut < 0:
                cut = left.find(" ", width)
            if cut < 0:
                break
            lines.append(left[:cut].rstrip())
            left, floor = " " * hanging + left[cut:].lstrip(), hanging
        lines.append(left)
    return "\n".join(lines)


def printable(text: str) -> str:
    """`text` without credentials in URLs, and with control characters escaped: names come from strangers' files."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", _CREDENTIALS.sub("***@", text))
