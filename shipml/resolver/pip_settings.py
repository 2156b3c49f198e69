"""The indexes that pip is told to use, for uv: PIP_* variables and pip.conf, as pip reads them.

pip.pypa.io/en/stable/topics/configuration: variables before PIP_CONFIG_FILE, then the user's file, then the site's.
uv's own variables and a requirements file's --index-url count before all of these.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipml.facts.requirements import Requirements
from shipml.formats import load_ini
from shipml.reading import read_regular

__all__ = ["PipIndexes", "indexes_beside", "pip_indexes", "variables_for_uv"]

_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_SECTIONS = ("install", "global")
"""The more special one first."""


@dataclass(frozen=True, slots=True)
class PipIndexes:
    """What pip is told; URLs may hold credentials."""

    index: str = field(default="", repr=False)
    extra: tuple[str, ...] = field(default=(), repr=False)
    source: str = ""
    """A variable, or a file: where the first of them is said."""

    @property
    def urls(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(one for one in (self.index, *self.extra) if one)


def pip_indexes(environment: Mapping[str, str] = os.environ) -> PipIndexes:
    """What pip would use; nothing where uv is told an index of its own."""
    if any(environment.get(name) for name in _OF_UV):
        return PipIndexes()
    said = [
        ({key: environment.get(name, "") for key, name in _VARIABLES.items()}, "PIP_INDEX_URL"),
        *_files(environment),
    ]
    index = _first(said, "index-url")
    extra = _first(said, "extra-index-url")
    source = next((where for _, where in (index, extra) if where), "")
    indexes, extras = _served(index[0])[:1], _served(extra[0])
    return PipIndexes("".join(indexes), tuple(extras), source if indexes or extras else "")


_VARIABLES = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL"}


def variables_for_uv(declared: Iterable[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The same as variables of uv's, without the index where the project's own options name one."""
    told = pip_indexes(environment)
    names_index = any(re.match(r"(?:-i|--index-url|--pypi-url)\b", line.strip()) for line in declared)
    found = {
        "UV_DEFAULT_INDEX": "" if names_index else told.index,
        "UV_INDEX": " ".join(told.extra),
    }
    return {name: value for name, value in found.items() if value}


def indexes_beside(declared: Requirements, environment: Mapping[str, str] = os.environ) -> int:
    """How many indexes are asked besides the main one: uv takes a package from the first that has it."""
    return len(pip_indexes(environment).extra) + sum("--extra-index-url" in line for line in declared.options)


def _served(text: str) -> list[str]:
    """The indexes of servers: a folder of this machine holds wheels for its own Python, and these have no dates."""
    return [url for url in text.split() if url.startswith(("https://", "http://"))]


def _first(said: Iterable[tuple[Mapping[str, str], str]], key: str) -> tuple[str, str]:
    return next(((values[key], where) for values, where in said if values.get(key)), ("", ""))


def _files(environment: Mapping[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    """The values of the files that pip reads, those that count first."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(environment.get("HOME") or Path.home())
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    site = [Path(one, "pip/pip.conf") for one in (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if one]
    paths = [Path(named)] if named else []
    for path in (*paths, config / "pip/pip.conf", home / ".pip/pip.conf", Path("/etc/pip.conf"), *site):
        parser = configparser.RawConfigParser()
        try:
            load_ini(parser, (read_regular(path) or b"").decode())
        except (ValueError, configparser.Error):
            continue
        values = {
            key.replace("_", "-"): value
            for section in reversed(_SECTIONS)
            if parser.has_section(section)
            for key, value in parser.items(section)
        }
        yield values, str(path)
