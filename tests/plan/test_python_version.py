"""Which suites are tried, in which order, and what is said when none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import PlanError
from shipml.plan.facts import Project, PythonEvidence, Settings
from shipml.plan.python_version import python_candidates

HERE = Path("project")


def project(*evidence: tuple[str, str, str], base: str | None = None) -> Project:
    return Project(HERE, settings=Settings(base=base), python_evidence=tuple(PythonEvidence(*one) for one in evidence))


def suites(found: Project, python: str | None = None, base: str | None = None) -> list[str]:
    return [candidate.suite.name for candidate in python_candidates(found, python, base)]


RANGE = ("pyproject.toml:3", "range")


@pytest.mark.parametrize(
    ("found", "python", "base", "expected"),
    [
        (project(), None, None, ["trixie", "bookworm", "bullseye", "forky"]),
        (project(), "3.11", None, ["bookworm"]),
        (project(), "3.14", None, ["forky"]),
        (project(("3.11.4", ".python-version:1", "version")), None, None, ["bookworm"]),
        (project(("3.11", ".python-version:1", "version")), "3.13", None, ["trixie"]),
        (project(("python-3.9.18", "runtime.txt:1", "version")), None, None, ["bullseye"]),
        (project(("cpython@3.13", ".python-version:1", "version")), None, None, ["trixie"]),
        (project(("my-venv", ".python-version:1", "version")), None, None, ["trixie", "bookworm", "bullseye", "forky"]),
        (project((">=3.10,<3.13", *RANGE)), None, None, ["bookworm"]),
        (project((">=3.10", *RANGE)), None, None, ["trixie", "bookworm", "forky"]),
        (project((">=3.14", *RANGE)), None, None, ["forky"]),
        (project(("!=3.9.0,<3.10", *RANGE)), None, None, ["bullseye"]),
        (project(base="debian:bookworm"), None, None, ["bookworm"]),
        (project(base="debian:bookworm"), None, "debian:trixie", ["trixie"]),
        (project(), None, "forky", ["forky"]),
        (project(), None, "debian", ["trixie", "bookworm", "bullseye", "forky"]),
    ],
)
def test_candidates_follow_what_the_project_says(
    found: Project, python: str | None, base: str | None, expected: list[str]
) -> None:
    """The strongest evidence decides; without any, released suites come newest first and forky last."""
    assert suites(found, python, base) == expected


@pytest.mark.parametrize(
    ("found", "python", "base", "message", "hint"),
    [
        (
            project(("3.12", ".python-version:1", "version")),
            None,
            None,
            ".python-version:1 asks for Python 3.12, which Debian does not have",
            "change .python-version",
        ),
        (project(), "3.12", None, "--python asks for Python 3.12", "--python 3.13"),
        (project(), "latest", None, "--python latest is no version", "3.11"),
        (
            project((">=3.12,<3.13", *RANGE)),
            None,
            None,
            "pyproject.toml:3 wants Python >=3.12,<3.13, which Debian does not have",
            "widen requires-python",
        ),
        (project((">>3", *RANGE)), None, None, '">>3" is no range', ">=3.10"),
        (
            project(("3.11", ".python-version:1", "version"), (">=3.13", *RANGE)),
            None,
            None,
            ".python-version:1 asks for Python 3.11, but pyproject.toml:3 wants >=3.13",
            "change one",
        ),
        (project(), "3.13", "debian:bookworm", "which Debian bookworm does not have", "3.11 (bookworm)"),
        (project(), None, "python:3.12-slim", '"python:3.12-slim" is none', "debian:bookworm"),
    ],
)
def test_what_cannot_be_met_names_what_there_is_and_what_to_change(
    found: Project, python: str | None, base: str | None, message: str, hint: str
) -> None:
    """The error names the place that asks, and the hint the Pythons that exist or the file to change."""
    with pytest.raises(PlanError) as caught:
        python_candidates(found, python, base)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_the_available_pythons_are_listed_oldest_first() -> None:
    """3.9 comes before 3.11 in the hint."""
    with pytest.raises(PlanError) as caught:
        python_candidates(project(), "3.12")
    assert "3.9 (bullseye), 3.11 (bookworm), 3.13 (trixie), 3.14 (forky)" in caught.value.hint
