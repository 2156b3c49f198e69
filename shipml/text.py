"""Figures and lists as people read them: sizes, times, plurals, "a, b and 3 more". Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["age_text", "counted", "listed", "parse_size", "seconds_text", "size_text"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 package`, `2 packages`; `plural` where an s does not make it: `2 libraries`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(names: Iterable[str], *, most: int = 5) -> str:
    """`a, b and c`; with more than `most` names `a, b and 3 more`."""
    shown = list(names)
    if len(shown) > most:
        shown[most - 1 :] = [f"{len(shown) - most + 1} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


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


_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", re.IGNORECASE)


def parse_size(text: str) -> int | None:
    """Bytes of `20 GB`, `500MB` or `1.5 tb`, in decimal units as `size_text` writes them; None for another form."""
    found = _SIZE.fullmatch(text.strip())
    return int(float(found[1]) * _KILO ** " kmgt".index(found[2].lower() or " ")) if found else None


def seconds_text(seconds: float) -> str:
    """A time to two or three digits: `0.31 s`, `12.4 s`, `2 min 5 s`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.2f} s"
    if seconds < _MINUTE_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_SECONDS)
    return f"{minutes} min {rest} s"


_HOUR_SECONDS = 3600
_DAY_SECONDS = 86400


def age_text(seconds: float) -> str:
    """How long ago something was, in its largest unit: `just now`, `5 min ago`, `3 h ago`, `2 days ago`."""
    if seconds < _MINUTE_SECONDS:
        return "just now"
    if seconds < _HOUR_SECONDS:
        return f"{seconds // _MINUTE_SECONDS:.0f} min ago"
    if seconds < _DAY_SECONDS:
        return f"{seconds // _HOUR_SECONDS:.0f} h ago"
    return f"{counted(int(seconds // _DAY_SECONDS), 'day')} ago"
