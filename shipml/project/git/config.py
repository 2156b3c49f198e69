"""Git's configuration files (git-config(1), "Syntax"), as values: includes are not followed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shipml.project.git.bounded import GitError, read_file

__all__ = ["Config", "config_home", "read_config", "read_own_config"]

_LIMIT_BYTES = 4 << 20
_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)\s*(?:"((?:[^"\\\n]|\\.)*)")?\s*\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", '"': '"', "\\": "\\"}
_FALSE = frozenset({"", "false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Config:
    """Values by `section.subsection.key` (section and key in lower case), in the order of the files."""

    values: Mapping[str, tuple[str, ...]]

    def last(self, name: str, default: str = "") -> str:
        """The value that counts."""
        return (self.values.get(name) or (default,))[-1]

    def is_true(self, name: str, *, default: bool = False) -> bool:
        """The value as a boolean."""
        return self.last(name, "true" if default else "false").lower() not in _FALSE

    def over(self, below: Config) -> Config:
        """These values after those of `below`."""
        names = {**below.values, **self.values}
        return Config({name: (*below.values.get(name, ()), *self.values.get(name, ())) for name in names})


def config_home(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's folder of settings for git."""
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config", "git")


def read_own_config() -> Config:
    """The machine's and the user's own settings."""
    found = Config({})
    for path in (Path("/etc/gitconfig"), config_home() / "config", Path.home() / ".gitconfig"):
        found = read_config(path).over(found)
    return found


def read_config(path: Path) -> Config:
    """The settings in one file; none where it is missing.

    Raises:
        GitError: it is not of that form, or not a file of a sensible size.
    """
    data = read_file(path, _LIMIT_BYTES)
    values: dict[str, list[str]] = {}
    for name, value in _settings(os.fsdecode(data or b"").removeprefix("\ufeff").replace("\r\n", "\n")):
        values.setdefault(name, []).append(value)
    return Config({name: tuple(found) for name, found in values.items()})


def _settings(text: str) -> Iterator[tuple[str, str]]:
    at, section = 0, ""
    while at < len(text):
        if text[at] in " \t\n":
            at += 1
        elif text[at] in "#;":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif found := _SECTION.match(text, at):
            name, sub = found[1].lower(), found[2]
            section = name if sub is None else name + "." + re.sub(r"\\(.)", r"\1", sub)
            at = found.end()
        elif (found := _KEY.match(text, at)) and section:
            at = found.end()
            value, at = _value(text, at + 1) if text[at : at + 1] == "=" else ("true", at)
            yield f"{section}.{found[1].lower()}", value
        else:
            raise GitError("its repository's configuration is not valid")


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins at `at`, and where it ends."""
    parts: list[str] = []
    quoted, comment, kept = False, False, 0
    while at < len(text) and text[at] != "\n":
        character = text[at]
        at += 1
        if comment:
            continue
        if character == "\\":
            escaped, at = text[at : at + 1], at + 1
            if escaped != "\n":
                parts.append(_ESCAPES.get(escaped, escaped))
                kept = len(parts)
        elif character == '"':
            quoted = not quoted
            kept = len(parts)
        elif character in "#;" and not quoted:
            comment = True
        elif parts or quoted or character not in " \t":
            parts.append(character)
            kept = len(parts) if quoted or character not in " \t" else kept
    return "".join(parts[:kept]), at
