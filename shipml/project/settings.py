"""Settings: `[tool.shipml]` of pyproject.toml, or shipml.toml with the same keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shipml.errors import ConfigurationError
from shipml.facts.plan import SmokeCheck
from shipml.facts.project import Settings
from shipml.project.settings_shape import (
    SETTINGS,
    Key,
    Shape,
    Table,
)
from shipml.text import parse_size

__all__ = ["load_settings", "read_settings"]

_ROOT = {"pyproject.toml": "tool.shipml", "shipml.toml": ""}


def read_settings(pyproject: Mapping[str, Any] | None, shipml: Mapping[str, Any] | None) -> Settings:
    """The settings of a project with these documents (None: there is no such file).

    Raises:
        ConfigurationError: both files have settings, or what they hold cannot be meant.
    """
    tool = (pyproject or {}).get("tool", {})
    table = tool.get("shipml") if isinstance(tool, Mapping) else None
    if table is not None and shipml is not None:
        raise ConfigurationError(
            "there are settings in shipml.toml and in [tool.shipml] of pyproject.toml",
            hint="keep them in one of the two",
        )
    if table is not None:
        return load_settings(table, "pyproject.toml")
    return load_settings(shipml, "shipml.toml") if shipml is not None else Settings()


def load_settings(
    document: Any,  # noqa: ANN401 - whatever the file holds
    source: str,
) -> Settings:
    """The settings in a document that was read from the file `source`.

    Raises:
        ConfigurationError: an unknown key (names the nearest known one), or a value of another shape.
    """
    root = _ROOT.get(source, "")
    _check(document, SETTINGS, (), source, root)
    get = document.get
    command = get("command")
    return Settings(
        name=get("name"),
        python=get("python"),
        base=get("base"),
        command=tuple(command) if isinstance(command, list) else (),
        command_line=command if isinstance(command, str) else None,
        accelerator=get("accelerator"),
        platforms=tuple(get("platforms", ())),
        system_packages=tuple(get("system-packages", ())),
        include=tuple(get("include", ())),
        exclude=tuple(get("exclude", ())),
        environment=tuple(sorted((name, _as_text(value)) for name, value in get("env", {}).items())),
        user=_as_text(get("user")) if "user" in document else None,
        smoke=_smoke(get("smoke", {})),
        allowed_secrets=tuple(get("secrets", {}).get("allow", ())),
        max_store_bytes=parse_size(get("cache", {}).get("max-size", "")),
        registries=_tables(get("registries", {})),
        environments=_tables(get("environments", {})),
        source=source,
    )


def _smoke(table: Mapping[str, Any]) -> SmokeCheck:
    command = table.get("command", ())
    return SmokeCheck(
        expect=table.get("expect", ""),
        minimum=tuple(sorted((name, float(value)) for name, value in table.get("minimum", {}).items())),
        http=table.get("http", ""),
        port=int(table["port"]) if "port" in table else None,
        timeout_seconds=float(table.get("timeout", SmokeCheck().timeout_seconds)),
        alive=table.get("alive", False),
        command=tuple(command) if not isinstance(command, str) else _split(command),
        network=table.get("network", False),
        env=tuple(table.get("env", ())),
        skip=table.get("skip", ""),
    )


def _split(command: str) -> tuple[str, ...]:
    import shlex

    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigurationError(
            f"smoke.command is {command!r}, which has an open quotation", hint="close it, or write a list of strings"
        ) from error


def _tables(tables: Mapping[str, Mapping[str, str]]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    return tuple(
        sorted(
            (name, tuple(sorted((key, str(value)) for key, value in table.items()))) for name, table in tables.items()
        )
    )


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)


def _check(value: object, key: Key, path: tuple[str, ...], source: str, root: str) -> None:
    """Raise where `value` does not have the shape of `key`."""
    if isinstance(key, Shape):
        if not key.accepts(value):
            raise _mismatch(value, key.wanted, path, source, root)
        if any("\0" in text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)):
            raise _mismatch(value, "text without NUL characters", path, source, root)
        return
    if not isinstance(value, dict):
        raise _mismatch(value, "a table", path, source, root)
    for name, inner in value.items():
        expected = key.keys.get(name, key.every)
        if expected is None:
            raise _unknown(name, key, path, source, root)
        if key.name_pattern and not re.search(key.name_pattern, name):
            raise ConfigurationError(
                f"{source}: {_dotted(path, root)} has the name {name!r}; wanted: {key.name_wanted}",
                hint=f"rename it in {source}",
            )
        _check(inner, expected, (*path, name), source, root)


def _unknown(name: str, table: Table, path: tuple[str, ...], source: str, root: str) -> ConfigurationError:
    import difflib

    near = difflib.get_close_matches(name.lower().replace("_", "-"), table.keys, n=1, cutoff=0.5)
    known = ", ".join(sorted(table.keys))
    where = f"[{_dotted(path, root)}]" if path or root else "the top of the file"
    return ConfigurationError(
        f'{source}: unknown setting "{name}" in {where}',
        hint=f'did you mean "{near[0]}"?' if near else f"known settings: {known}",
    )


def _mismatch(value: object, wanted: str, path: tuple[str, ...], source: str, root: str) -> ConfigurationError:
    shown = f"{value!r:.80}" if not isinstance(value, bool) else str(value).lower()
    hint = f"correct it in {source}"
    if path == ("python",) and isinstance(value, (int, float)):
        hint = f'write it in quotes: python = "{value}" (without them, 3.10 is the number 3.1)'
    return ConfigurationError(
        f"{source}: {_dotted(path, root) or 'the settings'} is {shown} ({_kind(value)}); wanted: {wanted}", hint=hint
    )


def _dotted(path: tuple[str, ...], root: str) -> str:
    return ".".join(([root] if root else []) + [_quoted(name) for name in path])


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _kind(value: object) -> str:
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")
