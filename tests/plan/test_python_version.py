"""Which suites are tried, in which order, and what is said when none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import PlanError
from shipml.facts.project import Project, PythonEvidence, Settings
from shipml.facts.pythons import ImagePython
from shipml.plan.python_version import base_image, python_candidates

HERE = Path("project")


def project(*evidence: tuple[str, str, str], base: str | None = None, settings: str | None = None) -> Project:
    said = Settings(base=base, python=settings, source="shipml.toml" if settings else "")
    return Project(HERE, settings=said, python_evidence=tuple(PythonEvidence(*one) for one in evidence))


def suites(found: Project, python: str | None = None, base: str | None = None) -> list[str]:
    """The names, without those that are not what the project asks for."""
    return [one.suite.name for one in python_candidates(found, python, base) if not one.instead_of]


ALL = ["trixie", "bookworm", "bullseye", "forky", "python:3.12-slim", "python:3.10-slim", "python:3.8-slim"]
"""Debian's suites, then what only Docker Hub has."""
RANGE = ("pyproject.toml:3", "range")


@pytest.mark.parametrize(
    ("found", "python", "base", "expected"),
    [
        (project(), None, None, ALL),
        (project(), "3.11", None, ["bookworm"]),
        (project(), "3.14", None, ["forky"]),
        (project(("3.11.4", ".python-version:1", "version")), None, None, ["bookworm"]),
        (project(("3.11", ".python-version:1", "version")), "3.13", None, ["trixie"]),
        (project(("python-3.9.18", "runtime.txt:1", "version")), None, None, ["bullseye"]),
        (project(("cpython@3.13", ".python-version:1", "version")), None, None, ["trixie"]),
        (project(("my-venv", ".python-version:1", "version")), None, None, ALL),
        (project((">=3.10,<3.13", *RANGE)), None, None, ["bookworm", "python:3.12-slim", "python:3.10-slim"]),
        (project((">=3.12,<3.13", *RANGE)), None, None, ["python:3.12-slim"]),
        (project((">=3.7,<3.9", *RANGE)), None, None, ["python:3.8-slim"]),
        (project(), "3.12", None, ["python:3.12-slim"]),
        (project(("3.10", ".python-version:1", "version")), None, None, ["python:3.10-slim"]),
        (
            project((">=3.10", *RANGE)),
            None,
            None,
            ["trixie", "bookworm", "forky", "python:3.12-slim", "python:3.10-slim"],
        ),
        (project((">=3.14", *RANGE)), None, None, ["forky"]),
        (project(("!=3.9.0,<3.10", *RANGE)), None, None, ["bullseye", "python:3.8-slim"]),
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
            project(("3.7", ".python-version:1", "version"), base="debian:forky"),
            "3.7",
            None,
            "--python asks for Python 3.7, which Debian forky does not have",
            "choose another --base",
        ),
        (project(), "3.7", None, "--python asks for Python 3.7", "--python 3.13"),
        (project(), "3.12", "debian", "--python asks for Python 3.12, which Debian does not have", "--python 3.13"),
        (project(), "latest", None, "--python latest is not a version", "3.11"),
        (
            project((">=3.6,<3.8", *RANGE)),
            None,
            None,
            "pyproject.toml:3 wants Python >=3.6,<3.8, which no known base has",
            "widen the range",
        ),
        (project((">>3", *RANGE)), None, None, '">>3" is not a range', ">=3.10"),
        (
            project(("3.11", ".python-version:1", "version"), (">=3.13", *RANGE)),
            None,
            None,
            ".python-version:1 asks for Python 3.11, but pyproject.toml:3 wants >=3.13",
            "change one",
        ),
        (project(), "3.13", "debian:bookworm", "which Debian bookworm does not have", "3.11 (bookworm)"),
        (project(), None, "debian:woody", '"debian:woody"', "debian:bookworm"),
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
        python_candidates(project(), "3.7", "debian")
    assert "3.9 (bullseye), 3.11 (bookworm), 3.13 (trixie), 3.14 (forky)" in caught.value.hint


@pytest.mark.parametrize(
    ("base", "image"),
    [
        (None, None),
        ("", None),
        ("debian", None),
        ("debian:bookworm", None),
        ("trixie", None),
        ("python:3.12-slim", "python:3.12-slim"),
        ("registry.example.org/team/base@sha256:" + "a" * 64, "registry.example.org/team/base@sha256:" + "a" * 64),
    ],
)
def test_what_is_no_suite_is_an_image(base: str | None, image: str | None) -> None:
    """Debian's suites are assembled; every other base is an image of a registry."""
    assert base_image(base) == image


def test_an_image_is_the_only_candidate_where_it_was_asked_for() -> None:
    """Its own Python is what counts; evidence that it does not satisfy is an error that names both."""
    image = ImagePython("python:3.12-slim", "3.12", "3.12.12", "2.41")
    found = project((">=3.10", *RANGE), base="python:3.12-slim")
    assert [candidate.suite for candidate in python_candidates(found, image=image)] == [image]
    with pytest.raises(PlanError) as caught:
        python_candidates(found, "3.11", image=image)
    assert "asks for Python 3.11, which the base python:3.12-slim does not have" in caught.value.message
    assert "choose another --base" in caught.value.hint


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            project(("python-3.10.4", "runtime.txt:1", "version")),
            ["python:3.10-slim", "bookworm", "python:3.12-slim", "trixie", "forky", "bullseye", "python:3.8-slim"],
        ),
        (
            project(("3.7.5", "runtime.txt:1", "version")),
            ["python:3.8-slim", "bullseye", "python:3.10-slim", "bookworm", "python:3.12-slim", "trixie", "forky"],
        ),
        (project((">=3.10,<3.11", *RANGE)), ["python:3.10-slim", "bookworm", "python:3.12-slim", "trixie", "forky"]),
        (project(("3.11", "shipml.toml:1", "version"), settings="3.11"), ["bookworm"]),
    ],
)
def test_what_others_files_say_has_neighbours(found: Project, expected: list[str]) -> None:
    """A version in a file of other tools is followed by the nearest newer ones, marked; an order to shipml is not."""
    candidates = python_candidates(found)
    assert [one.suite.name for one in candidates] == expected
    assert all(one.source for one in candidates if one.instead_of)
