"""requirements.txt and its kin: pip's format (pip.pypa.io/en/stable/reference/requirements-file-format)."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

from shipml.errors import ConfigurationError
from shipml.facts.requirements import Correction
from shipml.folders import is_file, is_folder
from shipml.project.corrections.lines import is_requirement
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.system_packages import is_requirements
from shipml.project.text import read_any_text
from shipml.secrets.names import names_secret

__all__ = ["OtherRequirements", "RequirementsTxt", "is_outside", "read_requirements_file"]

_INCLUDE = re.compile(r"(?P<option>-r|-c|--requirements?|--constraints?)(?:[ \t=]+|(?<=^-[rc]))(?P<path>\S.*)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_INDEX = re.compile(
    r"(?P<name>-i|--index-url|--pypi-url|--extra-index-url|-f|--find-links|--no-index|--no-binary|--only-binary"
    r"|--require-hashes)(?:[ \t=]+(?P<value>\S.*))?"
)
_LIKE = re.compile(
    r"(?:.*[^a-z])?(?:req|reqs|requ?ire?m?e?n?e?ts?|requriements|requirments?)(?:[^a-z].*)?\.(?:txt|in|pip)|requirements"
)
_DEVELOPMENT = re.compile(
    r"(?:^|[^a-z])(?:dev|devel|development|tests?|testing|docs?|lint|ci|build|optional|extras?)(?:[^a-z]|$)"
)
_PRODUCTION = ("prod", "production", "deploy", "runtime")
_PLAIN = ("base", "main", "common", "core", "default", "app")
TOP = "requirements.txt"
_PACKAGES = "packages.txt"
"""Hosts read the names of Debian's packages from it; some authors put their requirements there."""


class RequirementsTxt:
    """requirements.txt at the top of the project."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where it is there."""
        return (TOP,) if TOP in folder.names else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its lines, and those of the files that it includes."""
        return read_requirements_file(folder, path, "it is what pip install -r takes")


class OtherRequirements:
    """Files of other names: requirements/*.txt, req.txt, requirements-prod.txt, and the like in one folder below."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """All, the one for production first and those for development last."""
        found = [
            name for name in folder.names if not name.endswith("/") and _LIKE.fullmatch(name.lower()) and name != TOP
        ]
        for name in folder.names:
            if name.lower() in {"requirements/", "reqs/", "req/"}:
                found += _texts_in(folder.path, name)
        if not found:
            found = self._below(folder)
        if _PACKAGES in folder.names and is_requirements((read_any_text(folder.path, _PACKAGES) or ("", ""))[0]):
            found.append(_PACKAGES)
        return tuple(sorted(dict.fromkeys(found), key=_preference))

    def _below(self, folder: Folder) -> list[str]:
        """The only requirements.txt one folder down."""
        below = [
            f"{name}{TOP}" for name in folder.names if name.endswith("/") and not _DEVELOPMENT.search(name.lower())
        ]
        found = [path for path in below if is_file(folder.path / path)]
        return found if len(found) == 1 else []

    def read(self, folder: Folder, path: str) -> Found:
        """Its lines, and those of the files that it includes."""
        kind = "is a requirements file by its name"
        if path.endswith(f"/{TOP}") and path.count("/") == 1:
            kind = "is the only one below"
        elif _DEVELOPMENT.search(path.lower()):
            kind = "is for development, but there is no other"
        return read_requirements_file(folder, path, f"there is no {TOP} at the top, and this one {kind}")


def _texts_in(path: Path, name: str) -> list[str]:
    """The .txt files in a folder, none where it cannot be read."""
    try:
        return sorted(name + one.name for one in (path / name).iterdir() if one.suffix == ".txt" and one.is_file())
    except OSError:
        return []


def _preference(path: str) -> tuple[int, int, str]:
    words = re.split(r"[^a-z]+", path.lower())
    rank = 2
    if _DEVELOPMENT.search(path.lower()):
        rank = 3
    elif any(word in _PRODUCTION for word in words):
        rank = 0
    elif any(word in _PLAIN for word in words):
        rank = 1
    return rank, len(path), path


def read_requirements_file(folder: Folder, path: str, because: str) -> Found:
    """The file `path` in pip's format, with all that it includes.

    Raises:
        ConfigurationError: a file cannot be read, or an included one is missing.
    """
    walk = _Walk(folder)
    if is_outside(folder.path, path):
        _check_outside(folder.path, path, Line("", path))
    walk.read(path, constraints=False)
    return Found(
        path,
        because,
        requirements=tuple(walk.requirements),
        constraints=tuple(walk.constraints),
        options=tuple(walk.options),
        changes=tuple(walk.changes),
        texts=tuple(walk.texts.items()),
    )


@dataclass(slots=True)
class _Walk:
    """What was met on the way from file to file."""

    folder: Folder
    requirements: list[Line] = field(default_factory=list)
    constraints: list[Line] = field(default_factory=list)
    options: list[Line] = field(default_factory=list)
    changes: list[Correction] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def read(self, path: str, *, constraints: bool) -> bool:
        """Take in a file; says whether it is there."""
        found = read_any_text(self.folder.path, path)
        if found is None:
            return False
        text, encoding = found
        self.texts[path] = text
        if encoding:
            because = f"it is {encoding}, which not every tool reads"
            self.changes.append(Correction("encoding", encoding, "UTF-8", because, path))
        for number, line in logical_lines(text):
            self._take(Line(line, f"{path}:{number}"), constraints=constraints)
        return True

    def _take(self, line: Line, *, constraints: bool) -> None:
        if include := _INCLUDE.fullmatch(line.text):
            self._follow(line, include["path"].strip(" \t\"'"), constraints=constraints or "c" in include["option"][:3])
        elif _INDEX.fullmatch(line.text):
            self.options.append(Line(self._rebased(line), line.source))
        elif re.match(r"--[a-z]", line.text):
            because = "uv has no such option in a file"
            self.changes.append(Correction("line", line.text.partition("=")[0].split()[0], "", because, line.source))
        else:
            (self.constraints if constraints else self.requirements).append(line)

    def _follow(self, line: Line, target: str, *, constraints: bool) -> None:
        if "://" in target:
            self.options.append(Line(f"{'-c' if constraints else '-r'} {target}", line.source))
            return
        target = target.replace("\\", "/")
        path = (
            target
            if target.startswith("/")
            else posixpath.normpath(posixpath.join(posixpath.dirname(line.file), target))
        )
        if path in self.texts:
            return
        if is_outside(self.folder.path, path):
            _check_outside(self.folder.path, path, line)
        if not self.read(path, constraints=constraints):
            raise ConfigurationError(
                f"{line.source} includes {target}, which is not there", hint=f"add {path}, or remove the line"
            )

    def _rebased(self, line: Line) -> str:
        """`--find-links PATH` is meant from where the file stands."""
        match = _INDEX.fullmatch(line.text)
        if match is None or match["name"] not in ("-f", "--find-links") or "://" in (match["value"] or ""):
            return line.text
        path = posixpath.join(posixpath.dirname(line.file), str(match["value"]))
        return f"--find-links {path}" if is_folder(self.folder.path / path) else line.text


def is_outside(folder: Path, path: str) -> bool:
    """Whether a file lies outside of the project, links followed."""
    return not Path(os.path.realpath(folder / path)).is_relative_to(os.path.realpath(folder))


def _check_outside(folder: Path, path: str, line: Line) -> None:
    """What lies elsewhere must be a requirements file through and through: messages quote what is read.

    Raises:
        ConfigurationError: it is not, or it has the name of a secret; nothing of it is shown.
    """
    hint = f"copy the requirements into the project, or remove the line {line.source}"
    if not path.lower().endswith((".txt", ".in", ".pip")) or names_secret(posixpath.basename(path).lower()):
        raise ConfigurationError(f"{line.source} includes {path}: outside of the project, only .txt is read", hint=hint)
    found = read_any_text(folder, path)
    for number, text in logical_lines(found[0]) if found is not None else ():
        if not (_INCLUDE.fullmatch(text) or _INDEX.fullmatch(text) or is_requirement(text.partition(" --")[0])):
            raise ConfigurationError(
                f"{line.source} includes {path}, which lies outside of the project, and its line {number} is not a"
                " requirement",
                hint=hint,
            )


def logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of the first line, text) of each requirement: comments gone, continued lines joined (pip's format)."""
    lines: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        start = start if pending else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            pending += line[:-1] + " "
            continue
        if whole := _COMMENT.sub("", pending + line).strip():
            lines.append((start, whole))
        pending = ""
    if whole := _COMMENT.sub("", pending).strip():
        lines.append((start, whole))
    return lines
