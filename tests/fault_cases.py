"""Counts the cases of tests that loop over many, and prints their sum at the end of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

__all__ = ["CountCases", "count_cases", "pytest_terminal_summary"]

_PROPERTY = "fault cases"


class CountCases(Protocol):
    """Notes that a test has gone through so many cases."""

    def __call__(self, cases: int) -> None: ...


@pytest.fixture
def count_cases(record_property: Callable[[str, object], None]) -> CountCases:
    """Call it once with the number of cases that the test went through."""

    def count(cases: int) -> None:
        record_property(_PROPERTY, cases)

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many there were; the property travels from workers of pytest-xdist with the test's report."""
    counts = [
        int(str(value))
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if counts:
        terminalreporter.write_line(f"fault suite: {sum(counts)} cases in {len(counts)} tests")
