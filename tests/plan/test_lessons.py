"""What failed imports teach."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shipml.facts.project import Project
from shipml.facts.pythons import SUITES
from shipml.facts.requirements import DeclaredRequirement, Learned, Requirements
from shipml.failed_imports import FailedImport
from shipml.plan.lessons import (
    Lesson,
    heed,
    learn,
)
from shipml.plan.python_version import PythonCandidate

OPEN = [PythonCandidate(suite, "", open=True) for suite in SUITES]
PROJECT = Project(
    Path("project"),
    requirements=Requirements("requirements.txt", (DeclaredRequirement("pydub", "requirements.txt:1", "pydub"),)),
)


@pytest.mark.parametrize(
    ("text", "missing", "below"),
    [
        ("No module named 'pyaudioop'", "pyaudioop", "3.13"),
        ("No module named 'distutils'", "distutils.util", "3.12"),
        ("cannot import name 'Mapping' from 'collections' (/usr/lib/x.py)", "", "3.10"),
        ("module 'inspect' has no attribute 'getargspec'", "", "3.11"),
    ],
)
def test_what_the_standard_library_lost_means_an_older_python(text: str, missing: str, below: str) -> None:
    """Those Pythons are tried no more, and the plan says why."""
    lesson = learn([FailedImport("app.py:2", "pydub", text, missing)], Lesson())
    assert lesson is not None
    assert (lesson.below, lesson.source) == (below, "app.py:2")
    _, candidates = heed(PROJECT, OPEN, lesson)
    assert candidates
    assert all(int(one.suite.python[2:]) < int(below[2:]) for one in candidates)
    assert candidates[0].because.startswith("pydub ")


def test_pkg_resources_means_setuptools() -> None:
    """It is added once, as a change that can be refused."""
    failed = FailedImport("app.py:1", "xgboost", "name 'pkg_resources' is not defined")
    lesson = learn([failed], Lesson())
    assert lesson is not None
    project, candidates = heed(PROJECT, OPEN, lesson)
    assert candidates == OPEN
    assert project.requirements is not None
    assert project.requirements.whole_text == "pydub\nsetuptools<81\n"
    assert project.requirements.text == "pydub\n"
    assert "xgboost imports pkg_resources" in project.requirements.changes[-1].because
    assert learn([failed], lesson) is None


def test_what_the_project_asks_for_itself_is_not_asked_for_again() -> None:
    """Its own line for setuptools stays as it is."""
    asked = DeclaredRequirement("setuptools==82", "requirements.txt:1", "setuptools")
    project = Project(Path("project"), requirements=Requirements("requirements.txt", (asked,)))
    heeded, _ = heed(project, OPEN, Lesson(packages=(Learned("setuptools<81", "because", "app.py:1"),)))
    assert heeded.requirements is not None
    assert heeded.requirements.whole_text == "setuptools==82\n"


def test_other_failures_teach_nothing() -> None:
    """A missing package, a missing library, a Python that is too new already."""
    failed = [
        FailedImport("app.py:1", "cv2", "No module named 'cv2'", "cv2"),
        FailedImport("app.py:1", "cv2", "libGL.so.1: cannot open shared object file"),
    ]
    assert learn(failed, Lesson()) is None
    assert learn([FailedImport("app.py:1", "x", "", "imp")], Lesson(below="3.10")) is None


def test_the_only_python_stays() -> None:
    """Who names a version gets it."""
    assert heed(PROJECT, OPEN[:1], Lesson(below="3.9"))[1] == OPEN[:1]


def test_lessons_are_kept_as_json() -> None:
    """What comes back is what was kept; rubbish is no lesson."""
    learned = (Learned("setuptools<81", "because", "app.py:1"),)
    lesson = Lesson("3.13", "because", "app.py:1", learned, (Learned("web<=2.1", "old", "app.py:2"),), True, 2)
    assert Lesson.from_json(json.loads(json.dumps(lesson.to_json()))) == lesson
    for rubbish in (None, {}, [1], {"packages": 1, "bounds": 2}, {**lesson.to_json(), "later": 1}):
        assert Lesson.from_json(rubbish) == Lesson()


def test_each_reason_is_said_once() -> None:
    """What is known is no news; a package that is added has its own reason, and another one another."""
    first = Lesson(packages=(Learned("setuptools<81", "one", "app.py:1"),))
    second = replace(
        first, packages=(*first.packages, Learned("web", "two", "app.py:2")), below="3.12", because="three"
    )
    assert list(first.news(Lesson())) == [("app.py:1", "one")]
    assert [because for _, because in second.news(first)] == ["three", "two"]
    project, _ = heed(PROJECT, OPEN, second)
    assert project.requirements is not None
    assert [one.because for one in project.requirements.changes] == ["one", "two"]
    assert list(replace(second, is_of_its_commit=True).news(second)) != []


@pytest.mark.parametrize(("module", "package"), [("distutils.util", "setuptools"), ("cgi", "legacy-cgi")])
def test_where_the_python_is_fixed_a_lost_module_lives_on_in_a_package(module: str, package: str) -> None:
    """Where another Python may be taken, that is; modules without successor teach nothing."""
    failed = [FailedImport("app.py:1", "old", f"No module named {module!r}", module)]
    lesson = learn(failed, Lesson(), is_open=False)
    assert lesson is not None
    assert ([one.line for one in lesson.packages], lesson.below) == ([package], "")
    assert learn(failed, lesson, is_open=False) is None
    assert learn([FailedImport("app.py:1", "old", "", "imp")], Lesson(), is_open=False) is None
