"""Text formats of the standard library, within bounds: its readers are not linear on every text."""

from __future__ import annotations

import configparser
import re
import tomllib
from typing import Any, TypeVar

__all__ = ["load_ini", "load_toml"]

_MOST_DOTS = 200
"""Parts of a dotted key in TOML: tomllib's time grows with their square."""
_KEY = re.compile(r"""[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*""")
_MOST_LINES = 20_000
"""Of an INI file: configparser's time grows with the square of those that it does not understand."""
_MOST_SPACES = 200
"""In a row: the same."""
_SPACES = re.compile(r"[^\S\n]+")

Parser = TypeVar("Parser", bound=configparser.RawConfigParser)


def load_toml(text: str) -> dict[str, Any]:
    """The document in a TOML text.

    Raises:
        ValueError: it is not TOML (tomllib.TOMLDecodeError says where), or nests too deep.
    """
    if text.count(".") > _MOST_DOTS:
        run = 0
        for piece in text.split("."):
            run = run + 1 if _KEY.fullmatch(piece) else 0
            if run > _MOST_DOTS:
                raise ValueError(f"a key has more than {_MOST_DOTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def load_ini(parser: Parser, text: str) -> Parser:
    """The same parser, with the text read.

    Raises:
        configparser.Error: it is not of that form, or has too many lines or spaces.
    """
    if text.count("\n") > _MOST_LINES:
        raise configparser.Error(f"it has more than {_MOST_LINES} lines")
    if max(map(len, _SPACES.findall(text)), default=0) > _MOST_SPACES:
        raise configparser.Error(f"it has more than {_MOST_SPACES} spaces in a row")
    parser.read_string(text)
    return parser
