"""`python -m benchmarks.corpus CORPUS`: real projects as they are found, through plan, build and import check.

CORPUS is a folder with a table (`open.tsv`, or what --table names) that has a row for each project, and a folder of the
same id with its dependency files. The code itself is not kept: a program that imports what the row says that the code
imports stands in its place, at the project's entry point. Beside shipml are two baselines on the same files: pip's way
(Python 3.12, today's index) and the best of all Pythons with today's index; both only resolve, nothing is installed.

Every result is kept under --state as soon as it is known: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import uv

_PYTHONS = ("3.12", "3.13", "3.11", "3.10", "3.9", "3.8", "3.14")
"""In the order in which the best is looked for; the first is pip's way."""
_BASELINE_TIMEOUT_SECONDS = 120
_GB = 10**9


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one project."""

    id: str
    kind: str
    ok: bool
    elapsed_seconds: float
    cause: str = ""
    """Of the failure, one line: error kind and message."""
    remedy: str = ""
    resolves_with_312: bool | None = None
    resolves_with_best: bool | None = None

    @property
    def is_explained(self) -> bool:
        """Whether a failure names a cause and a remedy."""
        return self.ok or bool(self.cause and self.remedy)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the corpus, print the table; 1 where a failure lacks a cause or a remedy."""
    options = _options().parse_args(arguments)
    state: Path = options.state
    state.mkdir(parents=True, exist_ok=True)
    rows = _chosen(list(read_table(options.corpus / options.table)), options.only, options.sample)
    outcomes = []
    for row in rows:
        kept = state / f"{row.id}.json"
        if not kept.exists() or options.again:
            outcome = run_project(row, options)
            kept.write_text(json.dumps(asdict(outcome), indent=1))
        outcomes.append(Outcome(**json.loads(kept.read_text())))
        print(f"{row.id} {_mark(outcomes[-1])}", file=sys.stderr, flush=True)
        _stay_within(state / "home", options.disk_gb * _GB)
    print(report(outcomes))
    return 0 if all(outcome.is_explained for outcome in outcomes) else 1


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


def run_project(row: Row, options: argparse.Namespace) -> Outcome:
    """Build a copy of the project, and resolve it in the two other ways."""
    folder = options.state / "work" / row.id
    shutil.rmtree(folder, ignore_errors=True)
    source = options.corpus / row.id
    if source.is_dir():
        shutil.copytree(source, folder)
    else:
        folder.mkdir(parents=True)
    write_program(folder, row)
    command = [*options.shipml, "plan" if options.plan_only else "build", str(folder), "--json"]
    if not options.plan_only:
        command += ["--builder", "embedded", "--no-load"]
    outcome = _judge(row, command, options)
    if options.baselines:
        with_312 = resolves(folder, row, _PYTHONS[0])
        with_best = with_312 or any(resolves(folder, row, python) for python in _PYTHONS[1:])
        outcome = replace(outcome, resolves_with_312=with_312, resolves_with_best=with_best)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


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


def _judge(row: Row, command: Sequence[str], options: argparse.Namespace) -> Outcome:
    environment = os.environ | {"SHIPML_HOME": str(options.state / "home")}
    started_at = time.monotonic()
    log = options.state / f"{row.id}.log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL, env=environment, process_group=0
        )
        try:
            out, _ = process.communicate(timeout=options.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            out = b""
    elapsed_seconds = round(time.monotonic() - started_at, 1)
    if process.returncode == 0:
        return Outcome(row.id, row.kind, ok=True, elapsed_seconds=elapsed_seconds)
    if process.returncode < 0:
        return Outcome(
            row.id, row.kind, ok=False, elapsed_seconds=elapsed_seconds, cause=f"killed after {elapsed_seconds:.0f} s"
        )
    try:
        error = json.loads(out)["error"]
    except (ValueError, KeyError):
        error = {"kind": "crash", "message": log.read_text(errors="replace")[-300:], "hint": ""}
    cause = f"{error['kind']}: {error['message']}"
    return Outcome(
        row.id, row.kind, ok=False, elapsed_seconds=elapsed_seconds, cause=cause[:1000], remedy=error["hint"]
    )


def resolves(folder: Path, row: Row, python: str) -> bool:
    """Whether uv finds wheels for all that the main file names, with today's index."""
    source = folder / row.main if row.main else None
    if source is None or not source.exists():
        requirements = folder / "_imports.txt"
        requirements.write_text("\n".join(row.imports) + "\n")
        source = requirements
    done = subprocess.run(
        [uv.find_uv_bin(), "pip", "compile", "--quiet", "--only-binary", ":all:", "--python-version", python,
         "--python-platform", "x86_64-manylinux_2_36", "--no-header", str(source)],
        capture_output=True,
        check=False,
        cwd=folder,
        timeout=_BASELINE_TIMEOUT_SECONDS,
    )  # fmt: skip
    return done.returncode == 0


def report(outcomes: Sequence[Outcome]) -> str:
    """The shares, by kind of project and by cause of failure, as Markdown."""
    lines = ["| kind | projects | shipml | pip's way (3.12, today) | best Python, today |", "|---|--:|--:|--:|--:|"]
    kinds = Counter(outcome.kind for outcome in outcomes)
    for kind, _ in kinds.most_common():
        lines.append(_share(kind, [outcome for outcome in outcomes if outcome.kind == kind]))
    lines.append(_share("all", outcomes))
    failed = [outcome for outcome in outcomes if not outcome.ok]
    unexplained = sum(not outcome.is_explained for outcome in failed)
    lines += ["", f"{len(failed)} failed, {unexplained} of them without a cause or a remedy.", ""]
    by_cause: dict[str, list[Outcome]] = {}
    for outcome in failed:
        by_cause.setdefault(outcome.cause.partition(":")[0], []).append(outcome)
    for cause, members in sorted(by_cause.items(), key=lambda item: -len(item[1])):
        lines.append(f"- {cause}: {len(members)}")
        lines += [f"  - {one.id}: {_line(one.cause)} → {_line(one.remedy) or 'no remedy'}" for one in members]
    return "\n".join(lines)


def _share(name: str, outcomes: Sequence[Outcome]) -> str:
    def share(values: Sequence[bool | None]) -> str:
        known = [value for value in values if value is not None]
        return f"{sum(known)} ({100 * sum(known) / len(known):.0f} %)" if known else "–"

    columns: Mapping[str, Sequence[bool | None]] = {
        "shipml": [outcome.ok for outcome in outcomes],
        "312": [outcome.resolves_with_312 for outcome in outcomes],
        "best": [outcome.resolves_with_best for outcome in outcomes],
    }
    return f"| {name} | {len(outcomes)} | " + " | ".join(share(values) for values in columns.values()) + " |"


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def _mark(outcome: Outcome) -> str:
    return f"ok, {outcome.elapsed_seconds:.0f} s" if outcome.ok else f"failed, {_line(outcome.cause)}"


def _chosen(rows: list[Row], only: Sequence[str], sample: int) -> list[Row]:
    """The rows that were asked for; a sample is spread evenly, the same each time."""
    if only:
        rows = [row for row in rows if row.id in only]
    if sample and sample < len(rows):
        rows = [rows[index * len(rows) // sample] for index in range(sample)]
    return rows


def _stay_within(home: Path, limit_bytes: int) -> None:
    """Empty the store when it has grown beyond its limit; what uv knows is kept."""
    done = subprocess.run(["du", "-s", "-B1", str(home)], capture_output=True, check=False, text=True)
    if done.stdout and int(done.stdout.split()[0]) > limit_bytes:
        for entry in home.iterdir():
            if entry.name != "uv":
                shutil.rmtree(entry, ignore_errors=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--table", default="open.tsv")
    parser.add_argument("--state", type=Path, default=Path.home() / ".cache" / "shipml-corpus")
    parser.add_argument("--only", nargs="*", default=(), metavar="ID")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only N projects, evenly spread")
    parser.add_argument("--again", action="store_true", help="run what has a result, too")
    parser.add_argument("--plan-only", action="store_true", help="shipml plan instead of shipml build")
    parser.add_argument("--no-baselines", dest="baselines", action="store_false")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS", help="for one project")
    parser.add_argument("--disk-gb", type=float, default=12.0, metavar="GB", help="the store is emptied beyond")
    parser.add_argument("--shipml", nargs="+", default=[sys.executable, "-m", "shipml"], help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
