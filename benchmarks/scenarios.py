"""What is measured: the same steps for every builder, in turns, so that all meet the same machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.builders import Builder, Shipml
from benchmarks.measure import foreign_load, run
from tests.peers.engine import Engine

__all__ = ["COLD", "ONE_LINE", "STEPS", "Results", "help_seconds", "image_facts", "in_engine", "measure_builders"]


def in_engine(builder: str) -> str:
    """What shipml is called where it leaves the image in the engine of another builder."""
    return f"shipml, in {builder}'s engine"


@dataclass
class Results:
    """Everything that was measured."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """By scenario and builder."""
    peak_memory_bytes: dict[str, int] = field(default_factory=dict)
    """By builder: the largest process of any build; a Docker client's says nothing of its engine."""
    foreign: list[float] = field(default_factory=list)
    """CPUs busy with other things, asked before every step."""
    facts: dict[str, dict[str, float]] = field(default_factory=dict)
    """By builder: compressed and uncompressed size in bytes, start to first output in seconds."""
    notes: list[str] = field(default_factory=list)
    """What could not be measured, and why."""

    def add(self, scenario: str, builder: str, seconds: float) -> None:
        """Keep one measurement and say it."""
        self.seconds.setdefault((scenario, builder), []).append(seconds)
        print(f"{scenario:28} {builder:26} {seconds:7.2f} s", flush=True)


@dataclass(frozen=True, slots=True)
class Step:
    """One scenario: what to change before, untimed, and what it is called."""

    name: str
    change: Callable[[Builder, int], None]


def _start_over(builder: Builder, *, keep_base: bool) -> None:
    builder.edit_code(0)
    builder.pin_joblib("1.5.2")
    builder.wipe(keep_base=keep_base)


STEPS = (
    Step("cold build, base at hand", lambda builder, _: _start_over(builder, keep_base=True)),
    Step("cold build, nothing at hand", lambda builder, _: _start_over(builder, keep_base=False)),
    Step("nothing changed", lambda _builder, _round: None),
    Step("one code line changed", lambda builder, number: builder.edit_code(number)),
    Step("one small pin changed", lambda builder, _: builder.pin_joblib("1.5.1")),
)


COLD, ONE_LINE = STEPS[0], STEPS[3]


def measure_builders(builders: Sequence[Builder], rounds: int, results: Results, engines: Mapping[str, Engine]) -> None:
    """All steps, `rounds` times after one untimed cold build each; who comes first changes with every step.

    `engines` are those of the other builders, by their names: shipml's images are loaded there, too.
    """
    for builder in builders:
        _start_over(builder, keep_base=False)
        builder.build()
    for number in range(1, rounds + 1):
        for place, step in enumerate(STEPS):
            first = (number + place) % len(builders)
            for builder in [*builders[first:], *builders[:first]]:
                step.change(builder, number)
                results.foreign.append(foreign_load())
                done = builder.build()
                results.add(step.name, builder.name, done.seconds)
                peak = results.peak_memory_bytes.get(builder.name, 0)
                results.peak_memory_bytes[builder.name] = max(peak, done.peak_memory_bytes)
            if step in (COLD, ONE_LINE):
                ours = [builder for builder in builders if isinstance(builder, Shipml)]
                _measure_into_engines(ours, step, number, engines, results)


def _measure_into_engines(
    builders: Sequence[Shipml], step: Step, number: int, engines: Mapping[str, Engine], results: Results
) -> None:
    for builder in builders:
        for place, (name, engine) in enumerate(engines.items()):
            if step is COLD:
                _start_over(builder, keep_base=True)
            else:
                builder.build_into(engine)  # what was there before the change
                builder.edit_code(number * 100 + place)
            results.add(step.name, in_engine(name), builder.build_into(engine).seconds)


def image_facts(builders: Sequence[Builder], engine: Engine, rounds: int, results: Results) -> None:
    """Sizes of the images, and the time from `docker run` to the accuracy, all on one engine."""
    for builder in builders:
        builder.build()
        builder.push()
        manifest = json.loads(
            run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{builder.image}"]).stdout
        )
        engine.docker("pull", "--quiet", builder.image, timeout_seconds=300)
        inspected = json.loads(engine.docker("image", "inspect", builder.image).stdout)[0]
        results.facts[builder.name] = {
            "compressed": sum(layer["size"] for layer in manifest["layers"]),
            "uncompressed": inspected["Size"],
        }
    times: dict[str, list[float]] = {builder.name: [] for builder in builders}
    for _ in range(rounds + 1):
        for builder in builders:
            started = time.perf_counter()
            engine.docker("run", "--rm", "--network", "none", builder.image)
            times[builder.name].append(time.perf_counter() - started)
    for builder in builders:
        for seconds in times[builder.name][1:]:
            results.add("docker run to its end", builder.name, seconds)


def help_seconds(rounds: int, results: Results) -> None:
    """`shipml --help` beside the import of the library that parses its options."""
    commands = {
        "shipml --help": [sys.executable, "-m", "shipml", "--help"],
        "python -c 'import typer'": [sys.executable, "-c", "import typer"],
    }
    for number in range(rounds * 3 + 1):
        for name, argv in commands.items():
            done = run(argv)
            if number:
                results.add("help", name, done.seconds)
