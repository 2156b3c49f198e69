"""Figures and tables as people read them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["columns", "printable", "seconds_text", "size_text"]

_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"@]+@")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_KILO = 1000
_UNITS = ("B", "kB", "MB", "GB")
_MINUTE_SECONDS = 60


def size_text(size_bytes: int) -> str:
    """Bytes with a decimal unit and three digits, as docker counts: `45.2 MB`."""
    if size_bytes < _KILO:
        return f"{size_bytes} B"
    exponent = min(3, (len(str(size_bytes)) - 1) // 3)
    size = size_bytes / _KILO**exponent
    digits = 2 if size < 10 else 1 if size < 100 else 0  # noqa: PLR2004
    return f"{size:.{digits}f} {_UNITS[exponent]}"


def seconds_text(seconds: float) -> str:
    """A time to two or three digits: `0.31 s`, `12.4 s`, `2 min 5 s`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.2f} s"
    if seconds < _MINUTE_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_SECONDS)
    return f"{minutes} min {rest} s"


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
