"""Where a project speaks of a GPU: its Dockerfile's base, and calls in its code that fail without one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from shipml.errors import ConfigurationError
from shipml.facts.project import GpuUse
from shipml.project.code.notebooks import read_notebook
from shipml.project.text import read_any_text
from shipml.reading import read_data

__all__ = ["find_gpu_uses"]

_LIMIT_BYTES = 1 << 20
_LIMIT_FILES = 500
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>\S+)", re.IGNORECASE)
_GPU_IMAGE = re.compile(r"(?:.*/)?nvidia/.*|nvcr\.io/.*|.*[:-][\w.-]*(?:cuda|gpu)[\w.-]*", re.IGNORECASE)
_CALL = re.compile(
    r"""(?P<call>\.cuda\(|\b(?:device|to)\(\s*["']cuda(?::\d+)?["']\s*\)|\bdevice\s*=\s*["']cuda(?::\d+)?["'])"""
)
_FALLBACK = re.compile(
    r"is_available|device_count|list_physical_devices|is_built_with_cuda|--?no[-_]cuda|use_cuda|else\s+[\"']cpu"
)


def find_gpu_uses(folder: Path, paths: Iterable[str], dockerfile: tuple[str, str]) -> tuple[GpuUse, ...]:
    """The places, those that are sure first.

    Args:
        folder: the project.
        paths: its files.
        dockerfile: name and text of its Dockerfile.
    """
    code = sorted(path for path in paths if path.endswith((".py", ".ipynb")))[:_LIMIT_FILES]
    found = [*_bases(*dockerfile), *(use for path in code for use in _calls(folder, path))]
    return tuple(found)


def _bases(file: str, text: str) -> Iterator[GpuUse]:
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FROM.match(line.strip())
        if match and _GPU_IMAGE.fullmatch(match["image"]):
            yield GpuUse(f"{file}:{number}", f"starts from {match['image']}", is_sure=True)


def _calls(folder: Path, path: str) -> Iterator[GpuUse]:
    """The first call that needs a GPU, of a file that does not ask whether there is one."""
    try:
        if (folder / path).stat().st_size > _LIMIT_BYTES or b"cuda" not in read_data(folder / path):
            return
        if path.endswith(".ipynb"):
            notebook = read_notebook(folder, path)
            parts = notebook.cells if notebook is not None else ()
        else:
            found = read_any_text(folder, path)
            parts = tuple(enumerate(found[0].splitlines(), start=1)) if found is not None else ()
    except (OSError, ConfigurationError):
        return
    if any(_FALLBACK.search(text) for _, text in parts):
        return
    for number, text in parts:
        for line in text.splitlines():
            match = _CALL.search(line.partition("#")[0])
            if match:
                call = match["call"] + (")" if match["call"].endswith("(") else "")
                yield GpuUse(f"{path}:{number}", f"says {call} and does not ask whether there is a GPU")
                return
