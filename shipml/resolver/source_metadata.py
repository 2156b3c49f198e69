"""What a source distribution needs, read from its files: nothing of it is run.

In this order: PKG-INFO with Requires-Dist (core metadata 1.2 and later), setuptools' requires.txt, [project] of
pyproject.toml (PEP 621), setup.cfg, and the literal install_requires of setup.py.
"""

from __future__ import annotations

import ast
import configparser
import lzma
import posixpath
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path

from shipml.errors import UntrustedInputError
from shipml.formats import load_ini, load_toml

__all__ = ["BROKEN_ARCHIVE", "requirements_of_source"]

BROKEN_ARCHIVE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)
"""What the readers of archives raise for broken ones, and for passwords and methods that they do not know."""

_LIMIT_BYTES = 4 << 20
_CODE_LIMIT_BYTES = 128 << 10
_MOST_MEMBERS = 200_000
_WANTED = ("PKG-INFO", "requires.txt", "pyproject.toml", "setup.cfg", "setup.py")
_SECTION = re.compile(r"\[(?P<extra>[^:\]]*)(?::(?P<marker>[^\]]*))?\]")


def requirements_of_source(path: Path, filename: str) -> tuple[str, ...]:
    """The run-time requirements (PEP 508) of a source distribution; () where its files do not say any.

    Args:
        path: the file.
        filename: as the index names it: says what kind of archive it is.

    Raises:
        UntrustedInputError: it is not an archive.
    """
    try:
        files = dict(_files_of_zip(path) if filename.endswith(".zip") else _files_of_tar(path))
    except BROKEN_ARCHIVE as error:
        raise UntrustedInputError(f"{filename} is not a source distribution: {error}") from error
    for read in (_metadata, _requires, _pyproject, _setup_cfg, _setup_py):
        found = tuple(_valid(read(files)))
        if found:
            return found
    return ()


def _files_of_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:*") as archive:
        for number, member in enumerate(archive):
            if number > _MOST_MEMBERS:
                return
            name = _wanted(member.name)
            if name and member.isfile() and member.size <= _LIMIT_BYTES:
                stream = archive.extractfile(member)
                if stream is not None:
                    yield name, stream.read(_LIMIT_BYTES)


def _files_of_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist()[:_MOST_MEMBERS]:
            name = _wanted(member.filename)
            if name and member.file_size <= _LIMIT_BYTES:
                with archive.open(member) as stream:
                    yield name, stream.read(_LIMIT_BYTES)


def _wanted(path: str) -> str:
    """The name below the top folder, of the files that say what is needed; "" for all others."""
    parts = posixpath.normpath(path).split("/")[1:]
    if len(parts) == 1 and parts[0] in _WANTED:
        return parts[0]
    in_egg_info = len(parts) >= 2 and parts[-2].endswith(".egg-info")  # noqa: PLR2004 - a folder and a file
    return "requires.txt" if in_egg_info and parts[-1] == "requires.txt" else ""


def _valid(lines: Iterator[str]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
        try:
            yield str(Requirement(line))
        except InvalidRequirement:
            continue


def _text(files: Mapping[str, bytes], name: str) -> str:
    return files.get(name, b"").decode("utf-8", "replace")


def _metadata(files: Mapping[str, bytes]) -> Iterator[str]:
    yield from HeaderParser().parsestr(_text(files, "PKG-INFO")).get_all("Requires-Dist", ())


def _requires(files: Mapping[str, bytes]) -> Iterator[str]:
    """Setuptools' requires.txt: sections `[extra]`, `[:marker]` and `[extra:marker]`."""
    condition = ""
    for raw in _text(files, "requires.txt").splitlines():
        line = raw.strip()
        if section := _SECTION.fullmatch(line):
            parts = [f"({section['marker']})"] if section["marker"] else []
            parts += [f"extra == '{section['extra']}'"] if section["extra"] else []
            condition = " and ".join(parts)
        elif line:
            yield f"{line} ; {condition}" if condition else line


def _pyproject(files: Mapping[str, bytes]) -> Iterator[str]:
    try:
        project = load_toml(_text(files, "pyproject.toml")).get("project", {})
    except ValueError:
        return
    if isinstance(project, dict) and isinstance(project.get("dependencies"), list):
        yield from (str(one) for one in project["dependencies"])


def _setup_cfg(files: Mapping[str, bytes]) -> Iterator[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        load_ini(parser, _text(files, "setup.cfg"))
    except configparser.Error:
        return
    yield from parser.get("options", "install_requires", fallback="").splitlines()


def _setup_py(files: Mapping[str, bytes]) -> Iterator[str]:
    """The strings of install_requires: a list in the call of setup(), or a name that is given one above."""
    try:
        tree = ast.parse(files.get("setup.py", b"")[:_CODE_LIMIT_BYTES])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lists = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "install_requires":
            value = lists.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            if isinstance(value, ast.List | ast.Tuple):
                yield from (
                    one.value for one in value.elts if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )
