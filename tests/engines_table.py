"""A pytest plugin: `--engines-table FILE` writes which feature worked with which engine in this very run.

A test belongs to a feature by `@pytest.mark.feature("load: only missing layers")`, and to an engine by its fixtures
or parameters. A feature works where all its tests passed. Rows of features that were not run stay as they were.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["ENGINES", "note_features", "pytest_addoption", "pytest_configure", "rows_of"]

ENGINES = {
    "docker_20": "Docker 20.10",
    "docker_28_overlay2": "28.5, overlay2",
    "docker_28_containerd": "28.5, containerd",
    "podman_service": "podman 4.3",
}
"""Fixture → column."""
_OTHER_NAMES = {
    "20.10": "docker_20",
    "28 overlay2": "docker_28_overlay2",
    "28 containerd": "docker_28_containerd",
}
_WORDS = {"passed": "yes", "failed": "no", "skipped": "not run"}
_WORST = ("failed", "skipped", "passed")
_HEAD = """\
# Engines

What works with which engine, as the tests found it on {when} (`make engines-table` writes this page; do not edit).
"yes": every test of it passed, against the real program. "-": there is no test of it with that engine.

| feature | {engines} |
|---|{rules}
"""
_FOOT = """
- Engines with overlay2 compress layers anew when they push: the registry's manifest differs from the one in the store,
  config and layers do not, which `identity` of `shipml push --json` says. containerd's store sends the same manifest.
- podman tells nothing of a push before its end, keeps no record of the digest (`identity` is "not checked"), and reads
  archives only whole: each load sends all layers. It has no BuildKit; Dockerfiles are built without.
- buildx is a program of the docker client, not of the engine.
- The Docker Engines of the tests have no bridge network: a published port is there the same port of the machine, and
  the run says so. That one is mapped, on 127.0.0.1 alone, was shown with podman.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption("--engines-table", type=Path, metavar="FILE", help="write what worked with which engine")


def pytest_configure(config: pytest.Config) -> None:
    """Listen where results arrive: with several processes, in the first."""
    path = config.getoption("--engines-table")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Table(path))


def note_features(items: list[pytest.Item]) -> None:
    """Write feature and engines into what a test reports."""
    for item in items:
        if marker := item.get_closest_marker("feature"):
            item.user_properties.append(("feature", marker.args[0]))
            item.user_properties.extend(("engine", engine) for engine in _engines_of(item))


def _engines_of(item: pytest.Item) -> list[str]:
    values = getattr(getattr(item, "callspec", None), "params", {}).values()
    named = [_OTHER_NAMES.get(value, value) for value in values if isinstance(value, str)]
    named += getattr(item, "fixturenames", [])
    return [engine for engine in ENGINES if engine in named]


def rows_of(page: str) -> set[str]:
    """The features that a written page has."""
    return set(_rows(page))


def _rows(page: str) -> dict[str, str]:
    lines = [line for line in page.splitlines() if line.startswith("| ")][1:]
    return {line.split("|")[1].strip(): line for line in lines}


@dataclass(eq=False)  # pytest keeps plugins in sets
class _Table:
    path: Path
    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    """By feature and engine: the worst of its tests."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        features = [str(value) for name, value in report.user_properties if name == "feature"]
        engines = [str(value) for name, value in report.user_properties if name == "engine"]
        for key in ((feature, engine) for feature in features for engine in engines):
            self.outcomes[key] = min(self.outcomes.get(key, "passed"), report.outcome, key=_WORST.index)

    def pytest_sessionfinish(self) -> None:
        rows = _rows(self.path.read_text()) if self.path.exists() else {}
        for feature in {feature for feature, _ in self.outcomes}:
            rows[feature] = f"| {feature} | {' | '.join(self._cell(feature, engine) for engine in ENGINES)} |"
        head = _HEAD.format(
            when=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
            engines=" | ".join(ENGINES.values()),
            rules="---|" * len(ENGINES),
        )
        self.path.write_text(head + "\n".join(rows[feature] for feature in sorted(rows)) + "\n" + _FOOT)

    def _cell(self, feature: str, engine: str) -> str:
        outcome = self.outcomes.get((feature, engine))
        return _WORDS[outcome] if outcome else "-"
