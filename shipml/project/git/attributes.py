"""How git stores a file (gitattributes(5)): line ends, `$Id$`, and the one filter whose result is known, git-lfs's."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from shipml.project.git.bounded import read_file
from shipml.project.git.config import config_home
from shipml.project.git.layout import Repository
from shipml.project.git.wildmatch import Pattern

__all__ = ["Attributes", "lfs_pointer", "stored_forms"]

_LIMIT_BYTES = 4 << 20
_NAMES = frozenset({"text", "eol", "crlf", "filter", "ident"})
_BINARY = {"text": "-"}
_UNPRINTABLE = bytes(one for one in range(32) if one not in b"\b\t\n\x0c\r\x1b") + b"\x7f"
_ID = re.compile(rb"\$Id:[^$\n]*\$")
Ends = Literal["text", "auto", "as they are"]


class Attributes:
    """The attributes of one checkout's files; programs that they name are never looked up."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        named = repository.config.last("core.attributesfile")
        own = Path(named).expanduser() if named else config_home() / "attributes"
        self._first = [*_rules(Path("/etc/gitattributes")), *_rules(own)]
        self._last = list(_rules(repository.common / "info" / "attributes"))
        self._of_folders: dict[tuple[bytes, ...], list[tuple[Pattern, Mapping[str, str]]]] = {}

    def of(self, path: tuple[bytes, ...]) -> dict[str, str]:
        """The values that count for a file: "+" set, "-" unset, else the value."""
        found: dict[str, str] = {}
        groups = [(self._first, path)]
        groups += [(self._of_folder(path[:depth]), path[depth:]) for depth in range(len(path))]
        for rules, below in [*groups, (self._last, path)]:
            for pattern, values in rules:
                if pattern.matches(below, is_folder=False):
                    found |= values
        return found

    def ends(self, attributes: Mapping[str, str]) -> Ends:
        """What is done with a file's line ends when git stores it."""
        text = attributes.get("text") or attributes.get("crlf") or ""
        if text == "-":
            return "as they are"
        if text == "auto":
            return "auto"
        if text in ("+", "input") or attributes.get("eol") in ("lf", "crlf"):
            return "text"
        automatic = self._repository.config.last("core.autocrlf").lower()
        return "auto" if automatic in ("input", "true", "yes", "on", "1") else "as they are"

    def _of_folder(self, folder: tuple[bytes, ...]) -> list[tuple[Pattern, Mapping[str, str]]]:
        if folder not in self._of_folders:
            path = Path(self._repository.root, *map(os.fsdecode, folder), ".gitattributes")
            self._of_folders[folder] = list(_rules(path, follow=False))
        return self._of_folders[folder]


def stored_forms(data: bytes, ends: Ends, attributes: Mapping[str, str]) -> Iterator[bytes]:
    """What git may have stored of a file with this content, without running anything.

    With `filter=lfs` that is the content (a pointer that was not replaced) or git-lfs's pointer to it. What other
    filters make of a file is not known, so that only one that is stored as it is counts as unchanged.
    """
    if attributes.get("filter") == "lfs":
        yield data
        yield lfs_pointer(hashlib.sha256(data).hexdigest(), len(data))
        return
    if attributes.get("ident") == "+":
        data = _ID.sub(b"$Id$", data)
    if ends == "text":
        yield data.replace(b"\r\n", b"\n")
        return
    yield data
    if ends == "auto" and not _is_binary(data):
        yield data.replace(b"\r\n", b"\n")


def lfs_pointer(sha256: str, size_bytes: int) -> bytes:
    """What git-lfs stores in place of a file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size_bytes}\n".encode()


def _is_binary(data: bytes) -> bool:
    """As git guesses it (convert.c)."""
    if b"\0" in data or data.count(b"\r") != data.count(b"\r\n"):
        return True
    unprintable = len(data) - len(data.translate(None, _UNPRINTABLE))
    return (len(data) - unprintable) >> 7 < unprintable


def _rules(path: Path, *, follow: bool = True) -> Iterator[tuple[Pattern, Mapping[str, str]]]:
    """(pattern, values) of each line; of macros, `binary` alone is known."""
    for line in (read_file(path, _LIMIT_BYTES, follow=follow) or b"").splitlines():
        words = line.split()
        if not words or words[0].startswith((b"#", b"[attr]", b"!")):
            continue
        values: dict[str, str] = {}
        for word in words[1:]:
            values |= _value(os.fsdecode(word))
        pattern = Pattern.of(words[0].strip(b'"'))
        if values and pattern is not None:
            yield pattern, values


def _value(word: str) -> dict[str, str]:
    if word == "binary":
        return _BINARY
    name, _, value = word.lstrip("-!").partition("=")
    if name not in _NAMES:
        return {}
    return {name: "-" if word.startswith("-") else "" if word.startswith("!") else value or "+"}
