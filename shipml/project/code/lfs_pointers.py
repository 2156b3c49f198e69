"""Files whose content Git LFS has elsewhere: a pointer of three lines stands in the place of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from shipml.facts.plan import ApplicationFile
from shipml.facts.project import LfsPointer
from shipml.project.text import read_any_text
from shipml.reading import read_data

__all__ = ["find_lfs_pointers"]

_LEAST_BYTES, _MOST_BYTES = 100, 1024
"""Of a pointer (git-lfs, docs/spec.md)."""
_POINTER = re.compile(
    rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\r?\n"
    rb"(?:[a-z0-9.-]+ [^\n]*\n)*?size (\d{1,18})\r?\n"
)
_CODE = (".py", ".ipynb")
_CODE_LIMIT_BYTES = 1 << 20


def find_lfs_pointers(folder: Path, files: Sequence[ApplicationFile]) -> tuple[LfsPointer, ...]:
    """The pointers among a project's files, sorted by path.

    Args:
        folder: the project's root.
        files: those that the image gets; code is taken for code.
    """
    found = {file.path: size for file in files if (size := _size_bytes(folder, file)) is not None}
    if not found:
        return ()
    readers = _readers(folder, files, tuple(found))
    return tuple(LfsPointer(path, size, readers.get(path, "")) for path, size in sorted(found.items()))


def _size_bytes(folder: Path, file: ApplicationFile) -> int | None:
    """Of the content that a pointer stands for; None where the file is not a pointer."""
    if file.kind != "file" or not _LEAST_BYTES <= file.size_bytes <= _MOST_BYTES or file.path.endswith(_CODE):
        return None
    try:
        match = _POINTER.match(read_data(folder / file.path, _MOST_BYTES))
    except OSError:  # whoever packs it says so
        return None
    return int(match[1]) if match else None


def _readers(folder: Path, files: Sequence[ApplicationFile], paths: tuple[str, ...]) -> dict[str, str]:
    """Path → `FILE:LINE` where code first names it, by its path before by its name alone."""
    named: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for where, line in _lines(folder, files):
        for path in paths:
            if path in line:
                named.setdefault(path, where)
            elif path.rpartition("/")[2] in line:
                by_name.setdefault(path, where)
    return by_name | named


def _lines(folder: Path, files: Sequence[ApplicationFile]) -> Iterator[tuple[str, str]]:
    for file in files:
        if file.kind == "file" and file.path.endswith(_CODE) and file.size_bytes <= _CODE_LIMIT_BYTES:
            found = read_any_text(folder, file.path)
            for number, line in enumerate(found[0].splitlines() if found else (), start=1):
                yield f"{file.path}:{number}", line
