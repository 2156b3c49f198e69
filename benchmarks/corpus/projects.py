"""The projects of a corpus: the rows of its table, and a folder to work in for each."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Row", "chosen", "lay_out", "read_table", "spread", "write_program"]

_STRIDE = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A project of the table."""

    id: str
    kind: str
    main: str
    """Its main file of dependencies; "" where it has none."""
    entry: str
    imports: tuple[str, ...]
    """Top-level third-party modules that its code imports."""


def read_table(path: Path) -> Iterator[Row]:
    """The rows of a corpus' table, tab separated, with a header."""
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            modules = row.get("imports", "-")
            yield Row(
                id=row["id"],
                kind=row["kind"],
                main=row.get("dep_main", ""),
                entry=row.get("entry", ""),
                imports=tuple(modules.split()) if modules != "-" else (),
            )


def chosen(rows: Sequence[Row], only: Sequence[str], sample: int) -> list[Row]:
    """The rows that were asked for; a sample is spread evenly, the same each time."""
    rows = [row for row in rows if not only or row.id in only]
    if sample and sample < len(rows):
        rows = [rows[index * len(rows) // sample] for index in range(sample)]
    return rows


def spread(rows: Sequence[Row]) -> list[Row]:
    """The same rows in an order in which the first few stand for all of them."""
    return [row for first in range(_STRIDE) for row in rows[first::_STRIDE]]


def lay_out(row: Row, corpus: Path, checkouts: Path | None, folder: Path) -> bool:
    """Fill `folder` with the checkout, else with dependency files and a stub; returns whether the code is its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if checkouts is not None and (checkouts / row.id).is_dir():
        subprocess.run(["cp", "-a", str(checkouts / row.id), str(folder)], check=True)
        return True
    source = corpus / row.id
    if source.is_dir():
        shutil.copytree(source, folder)
    else:
        folder.mkdir(parents=True)
    write_program(folder, row)
    return False


def write_program(folder: Path, row: Row) -> None:
    """A program at the project's entry point that imports what the project's code imports."""
    said = re.sub(r"\([^)]*\)", "", row.entry.rpartition("|")[2])
    named = re.findall(r"[\w./ -]+\.(?:py|ipynb)", said)
    path = folder / (named[0].strip() if named else "main.py")
    lines = "".join(f"import {module}\n" for module in row.imports) + "print('started')\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".ipynb":
        cell: dict[str, object] = {
            "cell_type": "code",
            "source": lines,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        lines = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    path.write_text(lines, encoding="utf-8")
