"""Extras and groups that the image gets besides what the project always needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import ConfigurationError
from shipml.project import read_project

PROJECT = """\
[project]
name = "x"
dependencies = ["six"]
[project.optional-dependencies]
Web_UI = ["idna==3.10"]
[dependency-groups]
serve = ["gunicorn", {include-group = "log"}]
log = ["loguru"]
dev = ["pytest"]
"""
POETRY = """\
[tool.poetry.dependencies]
python = "^3.9"
six = "*"
idna = {version = "3.10", optional = true}
[tool.poetry.extras]
web-ui = ["idna"]
[tool.poetry.group.serve.dependencies]
gunicorn = "*"
loguru = "*"
[tool.poetry.group.dev.dependencies]
pytest = "*"
"""


@pytest.fixture(params=[PROJECT, POETRY], ids=["pep621", "poetry"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with one extra and two groups; another file that comes first where none is asked for."""
    (tmp_path / "pyproject.toml").write_text(request.param)
    (tmp_path / "app.py").write_text("import six\nprint(six)\n")
    return tmp_path


def names(folder: Path, **asked: tuple[str, ...]) -> set[str]:
    requirements = read_project(folder, None, dockerfile="try", **asked).requirements  # type: ignore[arg-type]
    assert requirements is not None
    return {one.name for one in requirements.requirements}


def test_options_and_settings_choose_extras_and_groups(folder: Path) -> None:
    """Together; names are normalised, groups that are included come along, a requirements.txt does not hide them."""
    assert names(folder) == {"six"}
    assert names(folder, extras=("web-ui",)) == {"six", "idna"}
    (folder / "shipml.toml").write_text('groups = ["serve"]\n')
    assert names(folder, extras=("Web.UI",)) == {"six", "idna", "gunicorn", "loguru"}
    (folder / "requirements.txt").write_text("certifi\n")
    assert "gunicorn" in names(folder)


def test_a_dockerfiles_choice_counts(folder: Path) -> None:
    """What it names for its tool, as far as the project has it."""
    (folder / "Dockerfile").write_text(
        "FROM python:3.12\nCOPY . .\nRUN uv sync --group serve --extra none\nCMD python app.py\n"
    )
    assert names(folder) == {"six", "gunicorn", "loguru"}


def test_what_is_not_there_is_an_error(folder: Path) -> None:
    """The hint names what may be meant, else what there is."""
    with pytest.raises(ConfigurationError) as near:
        read_project(folder, None, extras=("web-iu",))
    assert "web-ui" in near.value.hint
    with pytest.raises(ConfigurationError) as far:
        read_project(folder, None, groups=("zzz",))
    assert "serve" in far.value.hint
