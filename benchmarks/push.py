"""`python -m benchmarks.push`: pushes beside `docker push` and skopeo; a fresh CI machine beside buildx with a cache.

Every round has registries of its own, empty but for the base. Writes push.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.builders import PYTHON, Builder, Buildx, Classic, Docker, Shipml
from benchmarks.measure import Run, foreign_load, machine, median, run
from tests.peers.engine import engine_28, engine_2010
from tests.peers.registry import Registry, push_python_base, start_registry

FIRST, AGAIN, CODE, PIN = "first push", "nothing changed", "one code line changed", "one pin changed"
FRESH = "fresh CI machine, one code line changed"
_AIMS = {(FIRST, "docker push"): 3.0, (PIN, "docker push"): 10.0, (FRESH, "buildx"): 10.0}
_FRESH_LIMIT_BYTES = 1_000_000


@dataclass
class Figures:
    """Everything that was measured, by scenario and contender."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    sent_bytes: dict[tuple[str, str], int] = field(default_factory=dict)
    """By how much the registry's storage grew; of the last round."""
    foreign: list[float] = field(default_factory=list)

    def add(self, scenario: str, contender: str, seconds: float, sent_bytes: int) -> None:
        """Keep one measurement and say it."""
        self.seconds.setdefault((scenario, contender), []).append(seconds)
        self.sent_bytes[scenario, contender] = sent_bytes
        print(f"{scenario:40} {contender:20} {seconds:7.2f} s  {sent_bytes / 1e6:8.2f} MB", flush=True)


@dataclass
class Contender(ABC):
    """Pushes what a builder has built, to any registry."""

    builder: Builder
    name: str

    @abstractmethod
    def push(self, target: str) -> Run:
        """Push the image as it was built last; nothing else is timed."""

    def build(self) -> None:
        """Build, untimed."""
        self.builder.build()


class ByShipml(Contender):
    """`shipml push`, without the smoke test that others do not have."""

    def push(self, target: str) -> Run:
        """With our own client."""
        return shipml(self.builder, "push", str(self.builder.project), target, "--no-smoke", "--via", "client")


class BySkopeo(Contender):
    """`skopeo copy` of shipml's image as an OCI layout."""

    def build(self) -> None:
        """The same image, as a layout."""
        shutil.rmtree(self._layout, ignore_errors=True)
        argv = ("build", str(self.builder.project), "--python", PYTHON, "--output", f"oci:{self._layout}", "--no-load")
        shipml(self.builder, *argv)

    def push(self, target: str) -> Run:
        """With containers/image."""
        return run(
            ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{self._layout}", f"docker://{target}"]
        )

    @property
    def _layout(self) -> Path:
        return self.builder.work / "skopeo-layout"


class ByDocker(Contender):
    """`docker push` of what `docker build` made of the same packages."""

    def push(self, target: str) -> Run:
        """With the engine."""
        assert isinstance(self.builder, Docker)  # noqa: S101  (chosen in main)
        self.builder.engine.docker("tag", self.builder.image, target)
        return run(["docker", "push", "--quiet", target], self.builder.engine.environment)


def shipml(builder: Builder, *arguments: str) -> Run:
    """Run shipml with the builder's home and caches."""
    environment = {
        "SHIPML_HOME": str(builder.work / "home"),
        "UV_CACHE_DIR": str(builder.work / "uv-cache"),
        "DOCKER_HOST": "unix:///nonexistent",
        "DOCKER_CONFIG": "/nonexistent",
    }
    return run([sys.executable, "-m", "shipml", *arguments], environment)


def size_of(registry: Registry) -> int:
    """Bytes of all blobs that the registry keeps."""
    return sum(path.stat().st_size for path in (registry.folder / "data").rglob("data") if path.is_file())


def measure_pushes(contenders: list[Contender], rounds: int, figures: Figures) -> None:
    """The four pushes into one new registry for each contender, in turns."""
    for number in range(1, rounds + 1):
        with ExitStack() as exits:
            registries = {contender.name: exits.enter_context(start_registry()) for contender in contenders}
            for scenario in (FIRST, AGAIN, CODE, PIN):
                for contender in contenders:
                    contender.builder.edit_code(number * 10 + (scenario in (CODE, PIN)))
                    contender.builder.pin_joblib("1.5.1" if scenario == PIN else "1.5.2")
                    contender.build()
                    registry = registries[contender.name]
                    before = size_of(registry)
                    figures.foreign.append(foreign_load())
                    done = contender.push(f"{registry.host}/bench/app:{number}")
                    figures.add(scenario, contender.name, done.seconds, size_of(registry) - before)


def measure_fresh_machines(ours: Shipml, theirs: Buildx, registry: Registry, rounds: int, figures: Figures) -> None:
    """Build and push on a machine that has seen nothing, for a repository that has the last image."""
    image, cache = f"{registry.host}/bench/fresh", f"type=registry,ref={registry.host}/bench/cache"

    lock = ours.project / "pylock.toml"
    ours.pin_joblib("1.5.2")  # as it is pinned below: a lock for another pin would be stale
    shipml(ours, "plan", str(ours.project), "--python", PYTHON, "--lock")
    locked = lock.read_text()

    def by_shipml(*, with_lock: bool) -> float:
        lock.unlink(missing_ok=True)
        if with_lock:
            lock.write_text(locked)
        name = f"{image}-shipml{'' if with_lock else '-no-lock'}:1"
        built = shipml(ours, "build", str(ours.project), "--python", PYTHON, "-t", name, "--no-load")
        return built.seconds + shipml(ours, "push", name, "--no-smoke").seconds

    def by_buildx() -> float:
        argv = theirs.engine.buildx_argv(
            "build", "--quiet", "--network", "host", "--provenance=false", "--push",
            "--cache-from", cache, "--cache-to", f"{cache},mode=max",
            "--build-context", f"uv={theirs.work / 'uv'}", "--tag", f"{image}-buildx:1", ".",
        )  # fmt: skip
        return run(argv, theirs.engine.environment, theirs.project).seconds

    machines: dict[str, tuple[Builder, Callable[[], float]]] = {
        "shipml": (ours, lambda: by_shipml(with_lock=True)),
        "shipml without lock": (ours, lambda: by_shipml(with_lock=False)),
        "buildx": (theirs, by_buildx),
    }
    for number in range(rounds + 1):
        for place, (name, (builder, build_and_push)) in enumerate(machines.items()):
            figures.foreign.append(foreign_load())
            builder.edit_code(number * 100 + place)  # nobody's layer is one that another has pushed
            builder.pin_joblib("1.5.2")
            builder.wipe(keep_base=False)
            before = size_of(registry)
            seconds = build_and_push()
            if number:  # the first fills the registry
                figures.add(FRESH, name, seconds, size_of(registry) - before)


def write_report(figures: Figures, rounds: int, when: str) -> str:
    """The page."""
    lines = [
        "# Benchmarks of pushing",
        "",
        f"Measured on {when} by `python -m benchmarks.push`: {machine()}.",
        f"{rounds} rounds, in turns; medians in seconds (least to most), how many times shipml's, and by how much the",
        f"registry grew. Other things kept {median(figures.foreign or [0.0]):.1f} CPUs busy in the median.",
        "",
        "- The registry is CNCF's 2.8 on the loopback, new in each round: bytes are cheap here, compressing is not.",
        "- **docker push**: the classic builder's image in Engine 20.10; **skopeo**: shipml's own image as a layout.",
        "- **buildx**: Engine 28.5 (containerd store), `--push`, `--cache-from/to type=registry`, `mode=max`.",
        "- The fresh machine has empty caches; its time is that of build and push together. No smoke test is timed.",
        "- **shipml** there finds pylock.toml in the project (`shipml plan --lock`); **without lock** it resolves.",
        "",
        "| scenario | contender | seconds | ratio | sent |",
        "|---|---|---|---|---|",
    ]
    for (scenario, contender), seconds in figures.seconds.items():
        ratio = _ratio(figures, scenario, contender)
        spread = f"{median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"
        sent = f"{figures.sent_bytes[scenario, contender] / 1e6:.2f} MB"
        lines.append(f"| {scenario} | {contender} | {spread} | ×{ratio:.1f} | {sent} |")
    lines += ["", "## Aims", ""]
    for (scenario, contender), aim in _AIMS.items():
        if (scenario, contender) in figures.seconds:
            ratio = _ratio(figures, scenario, contender)
            met = "met" if ratio >= aim else "**missed**"
            lines.append(f"- {met}: {scenario}: ×{ratio:.1f} faster than {contender} (aim: ×{aim:.0f})")
    sent_bytes = figures.sent_bytes.get((FRESH, "shipml"))
    if sent_bytes is not None:
        met = "met" if sent_bytes < _FRESH_LIMIT_BYTES else "**missed**"
        lines.append(f"- {met}: {FRESH}: {sent_bytes / 1e6:.3f} MB sent (aim: under 1 MB)")
    return "\n".join(lines) + "\n"


def _ratio(figures: Figures, scenario: str, contender: str) -> float:
    return median(figures.seconds[scenario, contender]) / median(figures.seconds[scenario, "shipml"])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.push", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["pushes", "fresh"])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("push.md"))
    options = parser.parse_args()
    figures = Figures()
    with ExitStack() as exits:
        work = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="shipml-bench-")))
        registry = exits.enter_context(start_registry())
        push_python_base(registry)
        ours = Shipml(work, registry)
        if options.only != "fresh":
            old = Classic(work, registry, exits.enter_context(engine_2010(registry.url)))
            contenders = [ByShipml(ours, "shipml"), BySkopeo(ours, "skopeo"), ByDocker(old, "docker push")]
            measure_pushes(contenders, options.rounds, figures)
        if options.only != "pushes":
            new = Buildx(work, registry, exits.enter_context(engine_28("containerd", registry.url)))
            measure_fresh_machines(ours, new, registry, options.rounds, figures)
    when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    options.output.write_text(write_report(figures, options.rounds, when))
    print(f"\n{options.output.read_text()}")


if __name__ == "__main__":
    main()
