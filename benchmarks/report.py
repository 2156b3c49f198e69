"""Results as a page of Markdown: medians, ratios to shipml, aims."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import machine, median
from benchmarks.scenarios import COLD, ONE_LINE, STEPS, Results, in_engine

__all__ = ["write_report"]

_AIMS = {
    ("cold build, base at hand", "buildx"): 3.0,
    ("one small pin changed", "buildx"): 10.0,
}

_HOSTS = {"classic": "Engine 20.10", "buildx": "Engine 28.5"}
"""Builder → the engine that it leaves images in."""

_INTRODUCTION = """\
# Benchmarks

Measured on {when} by `make bench`: {machine}.
{rounds} rounds after a warm-up, in turns; each cell is the median in seconds, in brackets the least and the most, then
how many times shipml's. Other things kept {busy:.1f} CPUs busy in the median, {busiest:.1f} at most; ratios under 2
prove little on a busy machine.

- **shipml**: `shipml build --python 3.11`, embedded builder, no engine. The image is in its store; the rows
  "in Engine …" are `shipml build --load`, which leaves it where the others leave theirs.
- **classic**: the tutorial's Dockerfile (`pip install --no-cache-dir`), classic builder of Engine 20.10.
- **buildx**: BuildKit of Engine 28.5 (overlay2 store) with uv, cache mounts, bytecode.
- The Dockerfiles start from a stand-in for python:3.11-slim made of Debian 12 packages, pulled from a registry on the
  loopback. Downloads are nearly free here.
"""


def write_report(results: Results, builders: Sequence[str], rounds: int, when: str) -> str:
    """The page."""
    lines = [
        *_INTRODUCTION.format(
            when=when,
            machine=machine(),
            rounds=rounds,
            busy=median(results.foreign or [0.0]),
            busiest=max(results.foreign or [0.0]),
        ).splitlines(),
        "",
        f"| scenario | {' | '.join(builders)} |",
        f"|---|{'---|' * len(builders)}",
    ]
    lines += [_row(results, step.name, builders) for step in STEPS]
    lines += [_engine_row(results, step.name, name, builders) for step in (COLD, ONE_LINE) for name in _HOSTS]
    lines += _image_rows(results, builders)
    lines += ["", "## Aims", "", *_aims(results), ""]
    lines += [f"- {note}" for note in results.notes]
    return "\n".join(lines).rstrip() + "\n"


def _row(results: Results, scenario: str, builders: Sequence[str]) -> str:
    return f"| {scenario} | {' | '.join(_cell(results, scenario, name, 'shipml') for name in builders)} |"


def _engine_row(results: Results, scenario: str, host: str, builders: Sequence[str]) -> str:
    """What `shipml build --load` takes with the engine of `host`, beside `host`."""
    ours = in_engine(host)
    shown = {"shipml": ours, host: host}
    cells = [_cell(results, scenario, shown[name], ours) if name in shown else "–" for name in builders]
    return f"| {scenario}, in {_HOSTS[host]} | {' | '.join(cells)} |"


def _cell(results: Results, scenario: str, builder: str, ours: str) -> str:
    measured = results.seconds.get((scenario, builder))
    if not measured:
        return "–"
    text = f"{median(measured):.2f} ({min(measured):.2f}–{max(measured):.2f})"
    ratio = _ratio(results, scenario, builder, ours)
    return text if builder == ours or ratio is None else f"{text} ×{ratio:.1f}"


def _ratio(results: Results, scenario: str, builder: str, ours: str) -> float | None:
    theirs, own = results.seconds.get((scenario, builder)), results.seconds.get((scenario, ours))
    return median(theirs) / median(own) if theirs and own else None


def _image_rows(results: Results, builders: Sequence[str]) -> list[str]:
    if not results.facts:
        return []
    rows = []
    for kind in ("compressed", "uncompressed"):
        cells = [f"{results.facts[name][kind] / 1e6:.0f} MB" if name in results.facts else "–" for name in builders]
        rows.append(f"| image, {kind} | {' | '.join(cells)} |")
    return [*rows, _row(results, "docker run to its end", builders)]


def _aims(results: Results) -> list[str]:
    lines = []
    for (scenario, builder), aim in _AIMS.items():
        if ratio := _ratio(results, scenario, builder, "shipml"):
            lines.append(_verdict(f"{scenario}: ×{ratio:.1f} faster than {builder}", f"×{aim:.0f}", met=ratio >= aim))
    for host, engine in _HOSTS.items():
        if ratio := _ratio(results, ONE_LINE.name, host, in_engine(host)):
            text = f"{ONE_LINE.name}, loaded into {engine}: ×{ratio:.1f} faster than {host}"
            lines.append(_verdict(text, "no slower", met=ratio >= 1))
    if unchanged := results.seconds.get(("nothing changed", "shipml")):
        seconds = median(unchanged)
        lines.append(_verdict(f"nothing changed: {seconds:.2f} s", "under 0.5 s", met=seconds < 0.5))
    if ratio := _ratio(results, "help", "shipml --help", "python -c 'import typer'"):
        lines.append(_verdict(f"`shipml --help`: ×{ratio:.2f} the import of typer", "under ×3", met=ratio < 3))
    if peak := max((peak for name, peak in results.peak_memory_bytes.items() if name in _OURS), default=0):
        lines.append(_verdict(f"peak memory: {peak / 1e6:.0f} MB, largest process", "under 300 MB", met=peak < 300e6))
    if ratio := _ratio(results, "docker run to its end", "shipml", "classic"):
        lines.append(_verdict(f"start to accuracy: ×{ratio:.2f} of classic's image", "at most ×1", met=ratio <= 1))
    if ratio := _ratio(results, "torch wheel", "splice", "limit"):
        text = f"torch wheel: ×{ratio:.2f} of inflating and hashing it in one thread"
        lines.append(_verdict(text, "within ×1.5", met=ratio <= 1.5))
    return lines


_OURS = ("shipml", "torch splice")


def _verdict(measured: str, aim: str, *, met: bool) -> str:
    return f"- {'met' if met else '**missed**'}: {measured} (aim: {aim})"
