"""`python -m benchmarks`: shipml beside Docker's classic builder and BuildKit, in one run; writes results.md."""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.builders import Builder, Buildx, Classic, Shipml
from benchmarks.report import write_report
from benchmarks.scenarios import Results, help_seconds, image_facts, measure_builders
from benchmarks.torch_wheel import measure_torch
from tests.peers.engine import Engine, engine_28, engine_2010
from tests.peers.registry import Registry, push_python_base, start_registry


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results.md"))
    options = parser.parse_args()
    results = Results()
    with ExitStack() as exits:
        work = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="shipml-bench-")))
        builders, engines = _builders(work, exits, results)
        measure_builders(builders, options.rounds, results, engines)
        if engines:
            image_facts(builders, engines["classic"], options.rounds, results)
    help_seconds(options.rounds, results)
    measure_torch(options.rounds, results)
    when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    names = [builder.name for builder in builders]
    options.output.write_text(write_report(results, names, options.rounds, when))
    print(f"\n{options.output.read_text()}")


def _builders(work: Path, exits: ExitStack, results: Results) -> tuple[list[Builder], dict[str, Engine]]:
    """The builders that can run here, and the engines of those that have one; says what is missing."""
    try:
        registry: Registry = exits.enter_context(start_registry())
        push_python_base(registry)
        old = exits.enter_context(engine_2010(registry.url))
        new = exits.enter_context(engine_28("overlay2", registry.url))
    except pytest.skip.Exception as missing:
        results.notes.append(f"classic, buildx, sizes and starts: not measured, since {missing}")
        return [Shipml(work, None)], {}
    builders = [Shipml(work, registry), Classic(work, registry, old), Buildx(work, registry, new)]
    return builders, {"classic": old, "buildx": new}


if __name__ == "__main__":
    main()
