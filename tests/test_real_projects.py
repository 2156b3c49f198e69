"""Projects as they are found, from the folder to a run in the sandbox, with no configuration at all.

Those with large packages are built without the check of imports: the run shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from shipml import PlanRequest, Shipml
from shipml.errors import ImportCheckError
from shipml.events import Event, Notice

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def session(shared_home: Path) -> Iterator[Shipml]:
    """A session where the base is: they share what they have in common."""
    with Shipml(home=shared_home) as opened:
        yield opened


def project(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_opencv_finds_its_system_libraries(session: Shipml, tmp_path: Path) -> None:
    """opencv-python needs libGL and GLib, which its wheel lacks: the plan says for whom each package is there."""
    folder = project(
        tmp_path / "vision",
        {
            "requirements.txt": "opencv-python==4.10.0.84\nnumpy==1.26.4\n",
            "app.py": "import cv2, numpy\nprint('accuracy:', cv2.mean(numpy.ones((2, 2)))[0])\n",
        },
    )
    plan = session.plan(PlanRequest(folder=folder))
    reasons = {package.name: package.because for package in plan.base.extra_packages}
    assert reasons["libgl1"].startswith("opencv-python needs libGL.so.1")
    session.build(PlanRequest(folder=folder), load=False, check=False)
    assert session.run(str(folder), runtime="sandbox").measures == {"accuracy": 1.0}


def test_lightgbm_runs(session: Shipml, tmp_path: Path) -> None:
    """Its wheel expects libgomp from the system."""
    folder = project(
        tmp_path / "boost",
        {
            "requirements.txt": "lightgbm==4.5.0\nnumpy==1.26.4\nscipy==1.13.1\n",
            "train.py": "import lightgbm, numpy\n"
            "x = numpy.arange(100.0).reshape(-1, 1)\n"
            "data = lightgbm.Dataset(x, x[:, 0] > 50)\n"
            "model = lightgbm.train({'objective': 'binary', 'verbose': -1}, data, 50)\n"
            "print('accuracy:', float(((model.predict(x) > 0.5) == (x[:, 0] > 50)).mean()))\n",
        },
    )
    session.build(PlanRequest(folder=folder), load=False, check=False)
    assert session.run(str(folder), runtime="sandbox").measures["accuracy"] > 0.9


def test_a_notebook_alone_is_a_job(session: Shipml, tmp_path: Path) -> None:
    """Its imports say what it needs, its cells run in order, and a cell that fails fails the run."""

    def notebook(*cells: str) -> str:
        written: list[dict[str, object]] = [
            {"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None}
            for cell in cells
        ]
        return json.dumps({"cells": written, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    folder = project(
        tmp_path / "notes", {"model.ipynb": notebook("import yaml", "print('accuracy:', yaml.safe_load('1.0'))")}
    )
    session.build(PlanRequest(folder=folder), load=False)
    result = session.run(str(folder), runtime="sandbox")
    assert (result.passed, dict(result.measures)) == (True, {"accuracy": 1.0})
    project(folder, {"model.ipynb": notebook("import yaml", "nothing_of_that_name", "print('never')")})
    session.build(PlanRequest(folder=folder), load=False)
    result = session.run(str(folder), runtime="sandbox")
    assert not result.passed
    assert "nothing_of_that_name" in result.output
    assert "never" not in result.output.splitlines()


def test_a_streamlit_app_answers(session: Shipml, tmp_path: Path) -> None:
    """It is found by its import, served headless, and asked over HTTP."""
    folder = project(
        tmp_path / "ui",
        {"requirements.txt": "streamlit==1.39.0\n", "dashboard.py": "import streamlit as st\nst.title('x')\n"},
    )
    plan = session.plan(PlanRequest(folder=folder))
    assert plan.command[2:7] == ("python", "-m", "streamlit", "run", "dashboard.py")
    session.build(PlanRequest(folder=folder), load=False, check=False)
    result = session.run(str(folder), runtime="sandbox")
    assert result.passed, result.output
    assert "answered 200" in result.because


def test_a_web_app_without_server_gets_one(session: Shipml, tmp_path: Path) -> None:
    """FastAPI cannot serve itself: uvicorn is added, and said."""
    heard: list[Event] = []
    session.session = replace(session.session, emit=heard.append)
    folder = project(
        tmp_path / "api",
        {
            "requirements.txt": "fastapi==0.115.0\n",
            "service.py": "from fastapi import FastAPI\napi = FastAPI()\n"
            "@api.get('/health')\ndef health():\n    return 1\n",
        },
    )
    session.build(PlanRequest(folder=folder), load=False)
    result = session.run(str(folder), runtime="sandbox")
    assert result.passed, result.output
    assert "/health answered 200" in result.because
    assert any(isinstance(event, Notice) and "uvicorn added" in event.message for event in heard)


def test_an_import_that_cannot_work_is_named_at_build_time(session: Shipml, tmp_path: Path) -> None:
    """A name that the installed version no longer has, with its line; --no-check builds all the same."""
    folder = project(
        tmp_path / "old",
        {"requirements.txt": "idna==3.7\n", "app.py": "import json\nfrom idna import no_such_name\n"},
    )
    with pytest.raises(ImportCheckError) as caught:
        session.build(PlanRequest(folder=folder), load=False)
    assert "app.py:2 imports idna: ImportError: cannot import name 'no_such_name'" in caught.value.message
    assert "pin a version of idna" in caught.value.hint
    session.build(PlanRequest(folder=folder), load=False, check=False)
