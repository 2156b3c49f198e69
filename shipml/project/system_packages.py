"""Debian packages that a project names for other hosts: apt.txt, Aptfile (Heroku), packages.txt (Streamlit, Spaces)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from shipml.facts.project import SystemPackage
from shipml.project.text import read_text

__all__ = ["is_requirements", "read_system_packages"]

_FILES = ("apt.txt", "Aptfile", "packages.txt")
_NAME = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::\w+)?(?:=\S+)?")
_NOT_DEBIAN = re.compile(r"[=<>~!]=|^-|^https?:|^:repo:|\[")
_LIBRARY_HEADERS = re.compile(r".+-dev")
_TOOLS = frozenset(
    {"build-essential", "gcc", "g++", "make", "cmake", "pkg-config", "python3-dev", "python-dev", "git-lfs", "swig"}
    | {"python3", "python3-pip", "python-pip", "python3-venv", "software-properties-common", "apt-utils", "gnupg"}
)
_RENAMED = {
    "libgl1-mesa-glx": "libgl1",
    "libglib2.0": "libglib2.0-0",
    "python-tk": "python3-tk",
    "default-jre": "default-jre-headless",
    "openjdk-8-jre": "default-jre-headless",
    "openjdk-11-jre": "default-jre-headless",
}


def read_system_packages(folder: Path) -> tuple[SystemPackage, ...]:
    """The packages that the files name, in their order, each once; what only serves to build is marked as left out."""
    found: dict[str, SystemPackage] = {}
    for name in _FILES:
        for package in _read(name, read_text(folder, name) or ""):
            found.setdefault(package.name, package)
    return tuple(found.values())


def _read(path: str, text: str) -> Iterator[SystemPackage]:
    if is_requirements(text):
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for word in line.partition("#")[0].split():
            source = f"{path}:{number}"
            if _NOT_DEBIAN.search(word):
                yield SystemPackage(word, source, left_out="it is not the name of a package")
                break
            match = _NAME.fullmatch(word.lower())
            if match is None:
                yield SystemPackage(word, source, left_out="it is not the name of a package")
                continue
            yield _package(match["name"], source)


def _package(name: str, source: str) -> SystemPackage:
    if name in _TOOLS or _LIBRARY_HEADERS.fullmatch(name):
        return SystemPackage(name, source, left_out="it serves to build packages, not to run them")
    return SystemPackage(_RENAMED.get(name, name), source, written=name if name in _RENAMED else "")


def is_requirements(text: str) -> bool:
    """Whether somebody copied the requirements of pip here: most lines have a version."""
    lines = [line for line in (line.partition("#")[0].strip() for line in text.splitlines()) if line]
    return bool(lines) and sum(bool(re.search(r"[=~<>]=", line)) for line in lines) * 2 > len(lines)
