"""Timing of whole programs: wall clock, peak memory, and how busy the machine is with other things."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Run", "foreign_load", "machine", "median", "run"]


@dataclass(frozen=True, slots=True)
class Run:
    """One program run to its end."""

    seconds: float
    """Wall clock."""
    peak_memory_bytes: int
    """Of the largest single process among the program and those it waited for."""
    stdout: str


def run(argv: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Run:
    """Run a program and time it.

    Raises:
        RuntimeError: it failed; with the end of what it printed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=folder,
        env={**clean_environment(), **(environment or {})},
    )
    assert process.stdout is not None  # noqa: S101  (it is a pipe)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}:\n{printed[-2000:]}")
    return Run(seconds, usage.ru_maxrss * 1024, printed)


def clean_environment() -> dict[str, str]:
    """The environment without what would slow Python programs down or point them at somebody's engine."""
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "DOCKER_HOST", "DOCKER_CONFIG", "SHIPML_HOME")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def median(seconds: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(seconds)


def foreign_load(seconds: float = 0.5) -> float:
    """How many CPUs are busy while we do nothing, from 0.0 to their number."""
    before, started = _busy_seconds(), time.monotonic()
    time.sleep(seconds)
    return max(0.0, _busy_seconds() - before) / (time.monotonic() - started)


def _busy_seconds() -> float:
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """CPU, memory, system and Python in one line."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory_kib = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    system = next((line.split("=")[1].strip('"') for line in _lines("/etc/os-release") if "PRETTY_NAME" in line), "")
    return (
        f"{os.cpu_count()} CPUs ({cpu}), {memory_kib / 2**20:.0f} GiB, {system or platform.system()}, "
        f"kernel {platform.release()}, Python {platform.python_version()}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
