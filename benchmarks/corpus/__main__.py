"""`python -m benchmarks.corpus CORPUS`: real projects as they are found, through plan, build, import check and run.

CORPUS is a folder with a table (`open.tsv`, or what --table names) that has a row for each project. The projects' own
code is taken from --checkouts DIR, a folder with a checkout for each id. Where there is none, the folder of the same id
in CORPUS, with its dependency files, is tried with a program that imports what the row says that the code imports.

Each project goes through `shipml plan`, `shipml build` and `shipml run` with no configuration, no Docker engine and no
network at run time, within --timeout; beyond --image-gb of wheels it is planned only. With --hub-pythons a registry on
this machine stands in for Docker Hub's python:X.Y-slim (pyenv's Pythons). With --baselines a plain resolver tries the
same files (pip's way: Python 3.12, today's index; and the best of all Pythons); it only resolves, nothing is installed.

Every result is kept under --state as soon as it is known (`ID.json`, logs beside it, all in `results.jsonl`): a run
that was stopped goes on where it was. The store is emptied between projects when it is larger than --disk-gb.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.corpus.baselines import resolves_with_best, resolves_with_pip
from benchmarks.corpus.projects import Row, chosen, lay_out, read_table, spread
from benchmarks.corpus.report import line_of, report
from benchmarks.corpus.trial import Limits, Result, Step, Trial, try_project

_GB = 10**9


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the corpus, print the table; 1 where a failure lacks a cause or a remedy."""
    options = _options().parse_args(arguments)
    state: Path = options.state
    state.mkdir(parents=True, exist_ok=True)
    rows = chosen(list(read_table(options.corpus / options.table)), options.only, options.sample)
    homes: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(options.jobs):
        homes.put(state / f"home-{number}")

    def settle(row: Row) -> Result:
        kept = state / f"{row.id}.json"
        if options.again or not kept.exists():
            home = homes.get()
            try:
                result = _try(row, options, home)
                kept.write_text(json.dumps(asdict(result), indent=1))
                _stay_within(home, options.disk_gb * _GB)
            finally:
                homes.put(home)
        result = _read(kept)
        print(line_of(result), file=sys.stderr, flush=True)
        return result

    with _hub(options), ThreadPoolExecutor(options.jobs) as workers:
        results = list(workers.map(settle, spread(rows)))
    results.sort(key=lambda result: result.id)
    lines = "".join(json.dumps(asdict(result)) + "\n" for result in results)
    (state / "results.jsonl").write_text(lines)
    print(report(results))
    return 0 if all(result.is_explained for result in results) else 1


def _try(row: Row, options: argparse.Namespace, home: Path) -> Result:
    folder = options.state / "work" / row.id
    is_own_code = lay_out(row, options.corpus, options.checkouts, folder)
    environment = {"SHIPML_HOME": str(home)}
    if options.hub:
        environment["SHIPML_HUB_MIRROR"] = options.hub
    limits = Limits(options.timeout, int(options.image_gb * _GB), options.last_step)
    trial = Trial(folder, options.state / row.id, options.shipml, environment, limits)
    result = try_project(row.id, row.kind, trial, is_own_code=is_own_code)
    if options.baselines:
        pip = resolves_with_pip(folder, row)
        result = replace(result, resolves_with_pip=pip, resolves_with_best=pip or resolves_with_best(folder, row))
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _read(kept: Path) -> Result:
    values = json.loads(kept.read_text())
    return Result(**{**values, "steps": tuple(Step(**step) for step in values["steps"])})


@contextlib.contextmanager
def _hub(options: argparse.Namespace) -> Iterator[None]:
    """A registry with pyenv's Pythons that stands in for Docker Hub, where that is asked for."""
    if not options.hub_pythons:
        yield
        return
    from tests.peers.hub_pythons import available_pythons, push_complete_python
    from tests.peers.registry import start_registry

    with start_registry() as registry:
        for minor in available_pythons():
            print(f"stand-in: {push_complete_python(registry, minor)}", file=sys.stderr, flush=True)
        options.hub = registry.host
        yield


def _stay_within(home: Path, limit_bytes: float) -> None:
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
    parser.add_argument("--checkouts", type=Path, metavar="DIR", help="the projects' own code: DIR/ID")
    parser.add_argument("--state", type=Path, default=Path.home() / ".cache" / "shipml-corpus")
    parser.add_argument("--only", nargs="*", default=(), metavar="ID")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only N projects, evenly spread")
    parser.add_argument("--again", action="store_true", help="run what has a result, too")
    parser.add_argument("--last-step", choices=("plan", "build", "run"), default="run")
    parser.add_argument("--hub-pythons", action="store_true", help="stand in for Docker Hub with pyenv's Pythons")
    parser.add_argument("--hub", default="", metavar="HOST", help="a mirror of Docker Hub")
    parser.add_argument("--baselines", action="store_true", help="a plain resolver beside it")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="projects at a time")
    parser.add_argument("--timeout", type=float, default=240.0, metavar="SECONDS", help="plan and build of a project")
    parser.add_argument("--image-gb", type=float, default=1.5, metavar="GB", help="planned only beyond")
    parser.add_argument("--disk-gb", type=float, default=8.0, metavar="GB", help="a store is emptied beyond")
    parser.add_argument("--shipml", nargs="+", default=[sys.executable, "-m", "shipml"], help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
