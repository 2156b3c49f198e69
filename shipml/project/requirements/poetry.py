"""Poetry's tables of dependencies (python-poetry.org/docs/dependency-specification) and Pipfile's, much alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import IgnoredFile
from shipml.project.requirements.reader import Folder, Found, Line
from shipml.project.text import line_of, parse_toml, read_text

__all__ = ["Pipfile", "caret", "dependency_text", "indexes", "poetry_lines", "poetry_python", "specifier", "tilde"]


def poetry_lines(table: object, text: str, header: str, file: str = "pyproject.toml") -> tuple[list[Line], list[Line]]:
    """The requirements in a table NAME → version or description, and those among them that are optional.

    Args:
        table: the parsed table.
        text: of the file, to find the line of each.
        header: how the table's header begins.
        file: for the sources.
    """
    wanted: list[Line] = []
    optional: list[Line] = []
    for name, value in table.items() if isinstance(table, Mapping) else ():
        if name.lower() == "python":
            continue
        source = f"{file}:{_line(text, name, header)}"
        for one in value if isinstance(value, list) else [value]:
            if (line := dependency_text(name, one)) is not None:
                is_optional = isinstance(one, Mapping) and one.get("optional") is True
                (optional if is_optional else wanted).append(Line(line, source))
    return wanted, optional


def poetry_python(table: object, text: str) -> tuple[PythonEvidence, ...]:
    """Which Pythons the table allows."""
    value = table.get("python") if isinstance(table, Mapping) else None
    if not isinstance(value, str) or not specifier(value):
        return ()
    source = f"pyproject.toml:{line_of(text, 'python', '[tool.poetry.dependencies')}"
    return (PythonEvidence(specifier(value), source, "range"),)


def indexes(sources: object, text: str, file: str) -> list[Line]:
    """Indexes besides the public one, which both tools call "pypi" and which is uv's own default."""
    found = []
    for source in sources if isinstance(sources, list) else ():
        url = source.get("url") if isinstance(source, Mapping) else None
        if isinstance(url, str) and str(source.get("name", "")).lower() != "pypi":
            number = next((at for at, line in enumerate(text.splitlines(), start=1) if url in line), 1)
            found.append(Line(f"--extra-index-url {url}", f"{file}:{number}"))
    return found


def dependency_text(name: str, value: Any) -> str | None:  # noqa: ANN401 - TOML
    """`name` and its description as one requirement; None for what is none (a table of unknown kind)."""
    if isinstance(value, str):
        return f"{name}{specifier(value)}"
    if not isinstance(value, Mapping):
        return None
    extras = value.get("extras")
    full = f"{name}[{','.join(map(str, extras))}]" if isinstance(extras, list) and extras else name
    markers = _markers(value)
    if place := _place(value):
        return place if place.startswith("-e ") else f"{full} @ {place}{markers}"
    version = value.get("version", "*")
    return f"{full}{specifier(str(version))}{markers}"


def _place(value: Mapping[str, Any]) -> str:
    if isinstance(git := value.get("git"), str):
        revision = next((str(value[key]) for key in ("rev", "ref", "tag", "branch") if key in value), "")
        url = git if "://" in git else f"ssh://{git.replace(':', '/', 1)}"
        directory = f"#subdirectory={value['subdirectory']}" if "subdirectory" in value else ""
        return f"git+{url}{'@' if revision else ''}{revision}{directory}"
    if isinstance(url := value.get("url", value.get("file")), str):
        return url
    if isinstance(path := value.get("path"), str):
        return path if path.endswith((".whl", ".gz", ".zip")) else f"-e {path}"
    return ""


def _markers(value: Mapping[str, Any]) -> str:
    parts = [str(value[key]) for key in ("markers",) if value.get(key)]
    if isinstance(python := value.get("python"), str) and (allowed := specifier(python)):
        parts += [f"python_version {_spaced(part)}" for part in allowed.split(",")]
    if isinstance(platform := value.get("platform", value.get("sys_platform")), str):
        parts.append(
            f"sys_platform {platform}" if platform.strip().startswith(("=", "!")) else f"sys_platform == '{platform}'"
        )
    joined = " and ".join(f"({part})" if " or " in part else part for part in parts)
    return f" ; {joined}" if joined else ""


def _spaced(part: str) -> str:
    operator = part.rstrip("0123456789.*abrcdevpost+!-")
    return f"{operator} '{part[len(operator) :]}'"


def _line(text: str, name: str, header: str) -> int:
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare.startswith("["):
            inside = bare.startswith(header)
            if bare.strip("[]").endswith((f".{name}", f'."{name}"')) and inside:
                return number
        elif inside and bare.partition("=")[0].strip().strip("\"'") == name:
            return number
    return 1


FILE = "Pipfile"


class Pipfile:
    """Pipfile at the top of the project."""

    def find(self, folder: Folder) -> tuple[str, ...]:
        """It, where it is there."""
        return (FILE,) if FILE in folder.names else ()

    def read(self, folder: Folder, path: str) -> Found:
        """Its packages and indexes."""
        text = read_text(folder.path, path) or ""
        document = parse_toml(path, text)
        requirements, optional = poetry_lines(document.get("packages"), text, "[packages", path)
        offers, _ = poetry_lines(document.get("dev-packages"), text, "[dev-packages", path)
        return Found(
            path,
            "it is what pipenv installs",
            requirements=tuple(requirements),
            options=tuple(indexes(document.get("source"), text, path)),
            offers=(*optional, *offers),
            left_aside=(IgnoredFile(f"{path} [dev-packages]", "they are for development"),) if offers else (),
            texts=((path, text),),
            python=_python(document, text),
        )


def _python(document: Mapping[str, Any], text: str) -> tuple[PythonEvidence, ...]:
    requires = document.get("requires")
    for key in ("python_full_version", "python_version"):
        value = requires.get(key) if isinstance(requires, Mapping) else None
        if isinstance(value, str):
            return (PythonEvidence(value, f"{FILE}:{line_of(text, key)}", "version"),)
    return ()


_PART = re.compile(r"\s*(\^|~=|~|==|!=|<=|>=|<|>|=)?\s*(v?[\w.*+!-]+)\s*")


def specifier(text: str) -> str:
    """`^1.2`, `~1.2`, `1.2.*`, `>=1,<2`, `1.2` (exactly that), `*`, as PEP 440 writes them; "" allows all.

    Alternatives (`^1 || ^2`) have no such form: the last one, the newest, is taken.
    """
    last = " ".join(text.split()).replace("||", "|").rpartition("|")[2].strip()
    parts = []
    for piece in filter(None, re.split(r" ?, ?| (?=[\^~<>=!])", last)):
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
