"""Poetry's shorthands for ranges of versions, as PEP 440 writes them.

python-poetry.org/docs/dependency-specification
"""

from __future__ import annotations

import re

__all__ = ["caret", "specifier", "tilde"]

_PART = re.compile(r"\s*(\^|~=|~|==|!=|<=|>=|<|>|=)?\s*(v?[\w.*+!-]+)\s*")


def specifier(text: str) -> str:
    """`^1.2`, `~1.2`, `1.2.*`, `>=1,<2`, `1.2` (exactly that), `*`, as PEP 440 writes them; "" allows all.

    Alternatives (`^1 || ^2`) have no such form: the last one, the newest, is taken.
    """
    last = re.split(r"\s*\|\|?\s*", text)[-1]
    parts = []
    for piece in filter(None, re.split(r"\s*,\s*|\s+(?=[\^~<>=!])", last.strip())):
        match = _PART.fullmatch(piece)
        if match is None:
            return text
        parts.append(_one(match[1] or "", match[2]))
    return ",".join(part for part in parts if part)


def _one(operator: str, version: str) -> str:
    if version == "*":
        return ""
    if operator == "^":
        return caret(version)
    if operator == "~":
        return tilde(version)
    if operator in ("", "="):
        return f"=={version}"
    return f"{operator}{version}"


def caret(version: str) -> str:
    """Up to the next change of the first number that is not zero: `1.2.3` → `>=1.2.3,<2.0`."""
    numbers = _numbers(version)
    place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    return _below(version, numbers, place)


def tilde(version: str) -> str:
    """Up to the next minor version: `1.2.3` → `>=1.2.3,<1.3`; `1` → `>=1,<2`."""
    numbers = _numbers(version)
    return _below(version, numbers, min(1, len(numbers) - 1))


def _below(version: str, numbers: list[int], place: int) -> str:
    above = [*numbers[:place], numbers[place] + 1]
    text = ".".join(str(number) for number in above)
    return f">={version.removesuffix('.*')},<{text if len(above) > 1 else f'{text}.0'}"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", re.split(r"[-+]|(?<=\d)(?:a|b|rc|dev|post)", version)[0])] or [
        0
    ]
