"""Data that code reads: in the image where its publisher can be reached, else named at plan time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.data_files.publishers import environment, serve_publishers

pytestmark = [pytest.mark.network, pytest.mark.slow]

CODE = """\
import os, pathlib
def read():
    from nltk.corpus import stopwords
    return stopwords.words("english")
def load():
    return open("models/net.bin", "rb")
folder = pathlib.Path(os.environ["NLTK_DATA"])
print("words:", len((folder / "corpora/stopwords/english").read_text().split()))
"""


def test_data_is_fetched_by_the_build_or_named_by_the_plan(shipml: Run, shared_home: Path, tmp_path: Path) -> None:
    """With its publisher the program finds it; without, the plan names it with its reader and the command."""
    project = tmp_path / "words"
    project.mkdir()
    (project / "app.py").write_text(CODE)
    (project / "requirements.txt").write_text("")
    (project / "nltk.txt").write_text("stopwords\n")
    home = {"SHIPML_HOME": str(shared_home)}
    away = home | environment("http://127.0.0.1:9")
    plan = shipml("plan", str(project), "--json", env=away)
    assert plan.returncode == 0, plan.stderr
    (missing,) = (one for one in json.loads(plan.stdout)["decisions"] if one["what"] == "missing data")
    assert "stopwords" in missing["value"]
    assert "nltk.txt:1" in missing["because"]
    assert "python -m nltk.downloader" in missing["because"]
    assert "stopwords" in plan.stderr
    (absent,) = (one for one in json.loads(plan.stdout)["decisions"] if one["what"] == "missing")
    assert (absent["value"], "app.py:6" in absent["because"]) == ("models/net.bin", True)
    with serve_publishers() as server:
        built = shipml("build", str(project), env=home | environment(server.url))
    assert built.returncode == 0, built.stderr
    ran = shipml("run", "words", env=away)
    assert ran.returncode == 0, ran.stderr
    assert "words: 3" in ran.stdout + ran.stderr
