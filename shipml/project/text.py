"""Reading the small text files of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.folders import is_file
from shipml.formats import load_toml
from shipml.reading import _LIMIT_BYTES, read_data

__all__ = ["line_of", "parse_toml", "read_any_text", "read_text"]

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(folder: Path, name: str) -> str | None:
    """The text of `folder/name` without a byte order mark; None where there is no such file.

    Raises:
        ConfigurationError: the file cannot be read, or is not UTF-8.
    """
    data = _read(folder, name)
    if data is None:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        where = "is UTF-16" if data.startswith(_UTF16_MARKS) else f"is not UTF-8 (byte 0x{data[error.start]:02x}"
        place = "" if data.startswith(_UTF16_MARKS) else f", line {line})"
        raise ConfigurationError(f"{name} {where}{place}", hint="save it as UTF-8 in your editor") from error


def read_any_text(folder: Path, name: str) -> tuple[str, str] | None:
    """The text of `folder/name` in whatever encoding it is, and its name ("" for UTF-8); None: there is no such file.

    UTF-16 is known by its mark or by the zero bytes of its ASCII letters; what is not UTF-8 either is taken for
    Windows-1252, which gives the letters of Western Europe and never fails for the ASCII that requirements are made of.

    Raises:
        ConfigurationError: the file cannot be read, or is not text.
    """
    data = _read(folder, name)
    if data is None:
        return None
    try:
        if data.startswith(_UTF16_MARKS):
            return data.decode("utf-16"), "UTF-16"
        if b"\0" in data:
            order = "utf-16-le" if data.find(b"\0") % 2 else "utf-16-be"
            return data.decode(order).removeprefix("\ufeff"), "UTF-16"
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name} is not a text file", hint="save it as UTF-8 in your editor") from error
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "Windows-1252"


def _read(folder: Path, name: str) -> bytes | None:
    path = folder / name
    try:
        if not is_file(path):
            return None
        data = read_data(path, _LIMIT_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {name}: {error.strerror}", hint=f"make it readable: chmod u+r {path}"
        ) from error
    if len(data) > _LIMIT_BYTES:
        raise ConfigurationError(f"{name} is larger than 16 MiB", hint="is this the file that you meant?")
    return data


def parse_toml(name: str, text: str) -> dict[str, Any]:
    """The document in a TOML file called `name`.

    Raises:
        ConfigurationError: it is not TOML; says the line.
    """
    try:
        return load_toml(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} is not valid TOML: {error}", hint=f"correct {name}") from error


def line_of(text: str, word: str, after: str = "") -> int:
    """The first line below one that begins with `after` that begins with `word`, counted from 1; 1 if there is none."""
    below = not after
    for number, line in enumerate(text.splitlines(), start=1):
        if below and line.lstrip().startswith(word):
            return number
        below = below or line.startswith(after)
    return 1
