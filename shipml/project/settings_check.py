"""What is wrong in a settings file, all of it at once, each with its line and what to do."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shipml.errors import ConfigurationError
from shipml.project.settings_shape import Key, Shape, Table

__all__ = ["check_settings"]

_ROOTS = {"pyproject.toml": ("tool", "shipml")}


@dataclass(frozen=True, slots=True)
class _Problem:
    path: tuple[str, ...]
    """The key, from the top of the settings."""
    what: str
    hint: str


def check_settings(document: object, shape: Table, source: str, text: str = "") -> None:
    """Raise where the document of the file `source` does not have the shape.

    Args:
        document: the settings in it.
        shape: what they may be.
        source: the file, as messages name it; in pyproject.toml settings are in [tool.shipml].
        text: what the file holds; "" where nobody knows, and no lines are named.

    Raises:
        ConfigurationError: names everything that is wrong, a line of the message for each.
    """
    problems = list(_problems(document, shape, (), _ROOTS.get(source, ())))
    if not problems:
        return
    root = _ROOTS.get(source, ())
    told = [f"{source}{_line(text, (*root, *one.path))}: {one.what}" for one in problems]
    hints = list(dict.fromkeys(one.hint or f"correct it in {source}" for one in problems))
    raise ConfigurationError("; ".join(told), hint="; ".join(hints))


def _problems(value: object, key: Key, path: tuple[str, ...], root: Sequence[str]) -> Iterator[_Problem]:
    if isinstance(key, Shape):
        if not key.accepts(value):
            yield _mismatch(value, key.wanted, path, root)
        elif not key.may_hold_nul and _has_nul(value):
            yield _mismatch(value, "text without NUL characters", path, root)
        return
    if key.may_repeat and isinstance(value, list):
        for inner in value:
            yield from _problems(inner, dataclasses.replace(key, may_repeat=False), path, root)
    elif not isinstance(value, dict):
        yield _mismatch(value, "a table or a list of tables" if key.may_repeat else "a table", path, root)
    else:
        yield from _problems_in(value, key, path, root)


def _has_nul(value: object) -> bool:
    return any("\0" in text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _problems_in(
    value: dict[str, object], key: Table, path: tuple[str, ...], root: Sequence[str]
) -> Iterator[_Problem]:
    for name in key.required:
        if name not in value:
            yield _Problem(path, f"{_dotted((*root, *path))} has no {name}", f"add {name} = …")
    for name, inner in value.items():
        expected = key.keys.get(name, key.every)
        if expected is None:
            yield _unknown(name, key, path, root)
        elif key.name_pattern and not re.search(key.name_pattern, name):
            what = f"{_dotted((*root, *path))} has the name {name!r}; wanted: {key.name_wanted}"
            yield _Problem((*path, name), what, "rename it")
        else:
            yield from _problems(inner, expected, (*path, name), root)


def _unknown(name: str, table: Table, path: tuple[str, ...], root: Sequence[str]) -> _Problem:
    import difflib

    near = difflib.get_close_matches(name.lower().replace("_", "-"), table.keys, n=1, cutoff=0.5)
    where = f"[{_dotted((*root, *path))}]" if path or root else "the top of the file"
    return _Problem(
        (*path, name),
        f'unknown setting "{name}" in {where}',
        f'did you mean "{near[0]}"?' if near else f"known settings of {where}: {', '.join(sorted(table.keys))}",
    )


def _mismatch(value: object, wanted: str, path: tuple[str, ...], root: Sequence[str]) -> _Problem:
    shown = f"{value!r:.80}" if not isinstance(value, bool) else str(value).lower()
    hint = ""
    if path == ("python",) and isinstance(value, (int, float)):
        hint = f'write it in quotes: python = "{value}" (without them, 3.10 is the number 3.1)'
    name = _dotted((*root, *path)) or "the settings"
    return _Problem(path, f"{name} is {shown} ({_kind(value)}); wanted: {wanted}", hint)


def _dotted(path: Sequence[str]) -> str:
    return ".".join(_quoted(name) for name in path)


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _kind(value: object) -> str:
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")


_HEADER = re.compile(r"^\s*\[\[?([^\]]*)\]")
_ENTRY = re.compile(
    r"^\s*((?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="
)
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")


def _line(text: str, path: tuple[str, ...]) -> str:
    """`:LINE` of a key, or of the nearest table or inline table around it; "" where it is not found."""
    found, best = 0, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header, entry = _HEADER.match(line), _ENTRY.match(line)
        if header:
            table = _parts(header[1])
            here = table
        elif entry:
            here = (*table, *_parts(entry[1]))
        else:
            continue
        if len(here) > best and here == path[: len(here)]:
            found, best = number, len(here)
    return f":{found}" if found else ""


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(next(filter(None, part.groups()), "") for part in _PART.finditer(dotted))
