"""Jupyter notebooks (nbformat 3 and 4) as Python: code cells without magics, and what their pip lines install."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.project.text import read_any_text

__all__ = ["Notebook", "read_notebook"]

_PIP = re.compile(r"\s*[!%]\s*(?:(?:\{?sys\.executable\}?|python[\d.]*)\s+-m\s+)?(?:uv\s+)?pip[\d.]*\s+install\s.*")
_MAGIC = re.compile(r"\s*(?:[!?]|%(?!\s*\())|.*\?\s*$|\s*\w+\s*=\s*[!%]")
_OTHER_LANGUAGE = re.compile(r"\s*%%(?:bash|sh|html|javascript|js|latex|markdown|writefile|script|perl|ruby|R|sql)\b")


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook's code."""

    cells: tuple[tuple[int, str], ...]
    """(number from 1 among all cells, Python source with magics blanked out)."""
    installs: tuple[tuple[int, str], ...]
    """(number of the cell, line) of `%pip install …` and `!pip install …`."""
    python: str = ""
    """Version of the kernel that it was last run with: "3.8.13"; "" where it does not say."""


def read_notebook(folder: Path, path: str) -> Notebook | None:
    """The notebook at `folder/path`; None where the file is none (broken JSON, another language)."""
    try:
        found = read_any_text(folder, path)
        document = json.loads(found[0]) if found is not None else None
    except (ValueError, RecursionError, ConfigurationError):
        return None
    if not isinstance(document, dict):
        return None
    metadata = document.get("metadata")
    language = _inner(metadata, "language_info", "name") or _inner(metadata, "kernelspec", "language")
    if language and str(language).lower() not in {"python", "ipython"}:
        return None
    cells, installs = [], []
    for number, source in enumerate(_sources(document), start=1):
        if source is None or _OTHER_LANGUAGE.match(source):
            continue
        lines = source.splitlines()
        installs += [(number, line.strip()) for line in lines if _PIP.fullmatch(line)]
        cells.append((number, "\n".join(_blank(line) if _MAGIC.match(line) else line for line in lines)))
    return Notebook(tuple(cells), tuple(installs), str(_inner(metadata, "language_info", "version") or ""))


def _blank(line: str) -> str:
    """A statement that does nothing, at the same indentation: a block may consist of magics alone."""
    return line[: len(line) - len(line.lstrip())] + "pass"


def _inner(value: Any, *keys: str) -> Any:  # noqa: ANN401 - JSON
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _sources(document: dict[str, Any]) -> Iterator[str | None]:
    """The source of each cell, in order; None for what is not code."""
    sheets = document.get("worksheets")
    holders = [document] if not isinstance(sheets, list) else [sheet for sheet in sheets if isinstance(sheet, dict)]
    for holder in holders:
        cells = holder.get("cells")
        for cell in cells if isinstance(cells, list) else ():
            is_code = isinstance(cell, dict) and cell.get("cell_type") == "code"
            source = (cell.get("source", cell.get("input", "")) or "") if is_code else None
            yield "".join(map(str, source)) if isinstance(source, list) else source if isinstance(source, str) else None
