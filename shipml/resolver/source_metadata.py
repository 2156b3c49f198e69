"""What a source distribution needs, read from its files: nothing of it is run.

In this order: PKG-INFO with Requires-Dist (core metadata 1.2 and later), setuptools' requires.txt, [project] of
pyproject.toml (PEP 621), setup.cfg, and the literal install_requires of setup.py.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

from shipml.formats import load_ini, load_toml
from shipml.project.setup_call import setup_keywords
from shipml.resolver.sdist import Sdist, read_sdist

__all__ = ["requirements_of_source"]

_SECTION = re.compile(r"\[(?P<extra>[^:\]]*)(?::(?P<marker>[^\]]*))?\]")


def requirements_of_source(path: Path, filename: str) -> tuple[str, ...]:
    """The run-time requirements (PEP 508) of a source distribution; () where its files do not say any.

    Args:
        path: the file.
        filename: as the index names it: says what kind of archive it is.

    Raises:
        UntrustedInputError: it is not an archive.
    """
    sdist = read_sdist(path, filename)
    for read in (_metadata, _requires, _pyproject, _setup_cfg, _setup_py):
        found = tuple(_valid(read(sdist)))
        if found:
            return found
    return ()


def _valid(lines: Iterator[str]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
        try:
            yield str(Requirement(line))
        except InvalidRequirement:
            continue


def _metadata(sdist: Sdist) -> Iterator[str]:
    from packaging.metadata import parse_email

    yield from parse_email(sdist.text("PKG-INFO"))[0].get("requires_dist", ())


def _requires(sdist: Sdist) -> Iterator[str]:
    """Setuptools' requires.txt: sections `[extra]`, `[:marker]` and `[extra:marker]`."""
    condition = ""
    for raw in sdist.text("requires.txt").splitlines():
        line = raw.strip()
        if section := _SECTION.fullmatch(line):
            parts = [f"({section['marker']})"] if section["marker"] else []
            parts += [f"extra == '{section['extra']}'"] if section["extra"] else []
            condition = " and ".join(parts)
        elif line:
            yield f"{line} ; {condition}" if condition else line


def _pyproject(sdist: Sdist) -> Iterator[str]:
    try:
        project = load_toml(sdist.text("pyproject.toml")).get("project", {})
    except ValueError:
        return
    if isinstance(project, dict) and isinstance(project.get("dependencies"), list):
        yield from (str(one) for one in project["dependencies"])


def _setup_cfg(sdist: Sdist) -> Iterator[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        load_ini(parser, sdist.text("setup.cfg"))
    except configparser.Error:
        return
    yield from parser.get("options", "install_requires", fallback="").splitlines()


def _setup_py(sdist: Sdist) -> Iterator[str]:
    """The strings of install_requires: a list in the call of setup(), or a name that is given one above."""
    value = setup_keywords(sdist.files.get("setup.py", b"")).get("install_requires")
    if isinstance(value, ast.List | ast.Tuple):
        yield from (one.value for one in value.elts if isinstance(one, ast.Constant) and isinstance(one.value, str))
