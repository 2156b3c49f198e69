"""One project through `shipml plan`, `build` (with its import check) and `run`, as its author would call them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.corpus.outside import outside_reason

__all__ = ["Limits", "Result", "Step", "Trial", "try_project"]

_NO_ENGINE = "unix:///nowhere/docker.sock"
_RUN_SECONDS = 60
_STEPS = {"plan": (), "build": ("--no-load",), "run": ("--timeout", str(_RUN_SECONDS))}
"""The commands, in this order, and their options."""
_TRY_AGAIN = 75
_WITH_CUDA = ("--accelerator", "cuda")
_SPARE_SECONDS = 30
_SHOWN_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a project may take."""

    seconds: float
    """For plan and build together."""
    image_bytes: int
    """Wheels beyond this are planned only."""
    last_step: str = "run"
    """The last of plan, build, run that is taken."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Where and with what a project is tried."""

    folder: Path
    logs: Path
    """Path without suffix: what a step says goes to `LOGS.STEP.log`."""
    shipml: Sequence[str]
    environment: Mapping[str, str]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one command."""

    name: str
    exit_code: int | None
    """None where it was stopped for its time."""
    elapsed_seconds: float
    kind: str = ""
    """Of the error, as --json has it: "resolution", "import-check" …"""
    message: str = ""
    hint: str = ""

    @property
    def passed(self) -> bool:
        """Whether the command succeeded."""
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one project."""

    id: str
    kind: str
    is_own_code: bool
    verdict: str
    """One of `report.VERDICTS`."""
    steps: tuple[Step, ...] = ()
    reason: str = ""
    """Why it was planned only, or what lies outside."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Of the plan: python, base, command, download_bytes."""
    resolves_with_pip: bool | None = None
    resolves_with_best: bool | None = None

    @property
    def failed(self) -> Step | None:
        """The step that it failed at, for no reason outside."""
        return self.steps[-1] if self.verdict.startswith("failed") else None

    @property
    def is_explained(self) -> bool:
        """Whether a failure names a cause and a remedy."""
        return self.failed is None or bool(self.failed.message and self.failed.hint)


def try_project(id_: str, kind: str, trial: Trial, *, is_own_code: bool) -> Result:
    """Plan, build and run it, as far as it gets and the limits say.

    Where PyTorch's own index is out of reach, the hint is followed that takes the ordinary index's builds with CUDA.
    """
    limits = trial.limits
    ends_at = time.monotonic() + limits.seconds
    steps: list[Step] = []
    facts: Mapping[str, object] = {}
    accelerator: tuple[str, ...] = ()
    reason = ""
    for name, options in _STEPS.items():
        if name == "run":
            ends_at, accelerator = time.monotonic() + _RUN_SECONDS + _SPARE_SECONDS, ()
        step, document = _take(name, trial, ends_at, *options, *accelerator)
        if (step.name, step.exit_code) == ("plan", _TRY_AGAIN) and " ".join(_WITH_CUDA) in step.hint:
            accelerator = _WITH_CUDA
            step, document = _take(name, trial, ends_at, *options, *accelerator)
        steps.append(step)
        facts = facts or _facts(document)
        reason = _too_large(facts, limits)
        if not step.passed or name == limits.last_step or reason:
            break
    verdict = _verdict(steps[-1])
    if verdict == "failed-run":
        reason = outside_reason(f"{steps[-1].message}\n{_end_of(_log(trial, 'run'))}", trial.folder)
        verdict = "outside" if reason else verdict
    return Result(id_, kind, is_own_code, verdict, tuple(steps), reason=reason, facts=facts)


def _too_large(facts: Mapping[str, object], limits: Limits) -> str:
    size_bytes = facts.get("download_bytes")
    if not isinstance(size_bytes, int) or size_bytes <= limits.image_bytes:
        return ""
    return f"{size_bytes / 1e9:.1f} GB of wheels"


def _verdict(last: Step) -> str:
    return {"plan": "planned", "build": "built", "run": "run"}[last.name] if last.passed else f"failed-{last.name}"


def _take(name: str, trial: Trial, ends_at: float, *options: str) -> tuple[Step, dict[str, Any]]:
    """Run a command until it ends or its time is over; returns what came of it, and what it printed as JSON."""
    started_at = time.monotonic()
    environment = os.environ | {"DOCKER_HOST": _NO_ENGINE} | dict(trial.environment)
    command = [*trial.shipml, name, str(trial.folder), "--json", *options]
    with _log(trial, name).open("wb") as err:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL, env=environment, process_group=0
        )
        try:
            out, _ = process.communicate(timeout=max(1.0, ends_at - started_at))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            seconds = round(time.monotonic() - started_at, 1)
            return Step(name, None, seconds, "time", f"stopped after {seconds:.0f} s", "allow more: --timeout"), {}
    seconds = round(time.monotonic() - started_at, 1)
    document = _document(out)
    error = document.get("error")
    if process.returncode == 0:
        return Step(name, 0, seconds), document
    if not isinstance(error, dict):
        return Step(name, process.returncode, seconds, "crash", _end_of(_log(trial, name))[-300:]), document
    message, hint = (str(error.get(key, ""))[:_SHOWN_CHARACTERS] for key in ("message", "hint"))
    return Step(name, process.returncode, seconds, str(error.get("kind")), message, hint), document


def _document(out: bytes) -> dict[str, Any]:
    try:
        found = json.loads(out)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _facts(plan: Mapping[str, Any]) -> dict[str, object]:
    decisions = {item["what"]: item["value"] for item in plan.get("decisions", ())}
    wheels = plan.get("wheels", ())
    return {
        "python": decisions.get("python", ""),
        "base": decisions.get("base", ""),
        "command": decisions.get("command", ""),
        "download_bytes": sum(int(wheel.get("size_bytes") or 0) for wheel in wheels),
    }


def _log(trial: Trial, step: str) -> Path:
    return trial.logs.with_name(f"{trial.logs.name}.{step}.log")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
