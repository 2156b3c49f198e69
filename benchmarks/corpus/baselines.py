"""What a plain resolver makes of the same files: pip's way, and the best of all Pythons. Nothing is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import uv

from benchmarks.corpus.projects import Row

__all__ = ["resolves_with_best", "resolves_with_pip"]

_PYTHONS = ("3.12", "3.13", "3.11", "3.10", "3.9", "3.8", "3.14")
"""In the order in which the best is looked for; the first is pip's way."""
_TIMEOUT_SECONDS = 120


def resolves_with_pip(folder: Path, row: Row) -> bool:
    """Whether uv finds wheels for all that the main file names, with Python 3.12 and today's index."""
    return _resolves(folder, row, _PYTHONS[0])


def resolves_with_best(folder: Path, row: Row) -> bool:
    """The same with any Python."""
    return any(_resolves(folder, row, python) for python in _PYTHONS)


def _resolves(folder: Path, row: Row, python: str) -> bool:
    source = folder / row.main if row.main else None
    if source is None or not source.exists():
        source = folder / "_imports.txt"
        source.write_text("\n".join(row.imports) + "\n")
    try:
        done = subprocess.run(
            [uv.find_uv_bin(), "pip", "compile", "--quiet", "--only-binary", ":all:", "--python-version", python,
             "--python-platform", "x86_64-manylinux_2_36", "--no-header", str(source)],
            capture_output=True,
            check=False,
            cwd=folder,
            timeout=_TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
