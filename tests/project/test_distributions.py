"""The project as an installed distribution."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shipml.facts.project import Distribution
from shipml.plan.installing import installed_files
from shipml.project import read_project

BACKEND = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'

SETUP_PY = """\
from setuptools import setup
V = "2"
setup(name="s", version=V, entry_points={"console_scripts": ["s = s:m"]})
"""


def distribution(folder: Path, files: dict[str, str]) -> Distribution | None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    found = read_project(folder, None).distributions
    return found[0] if found else None


@pytest.mark.parametrize(
    ("files", "name", "version", "scripts"),
    [
        (
            {"pyproject.toml": '[project]\nname = "A"\nversion = "1.2"\n[project.scripts]\na = "a.c:main"', "a.py": ""},
            "A",
            "1.2",
            (("a", "a.c:main"),),
        ),
        (
            {"pyproject.toml": '[tool.poetry]\nname = "p"\nversion = "0.1.0"\n[tool.poetry.scripts]\ngo = "p.x:y"'},
            "p",
            "0.1.0",
            (("go", "p.x:y"),),
        ),
        (
            {
                "pyproject.toml": BACKEND + '[project]\nname = "d"\ndynamic = ["version"]\n'
                '[tool.setuptools.dynamic]\nversion = {attr = "d.about.V"}',
                "src/d/__init__.py": "",
                "src/d/about.py": "import nothing_here\nV = (3, 4)\n",
            },
            "d",
            "3.4",
            (),
        ),
        (
            {
                "pyproject.toml": BACKEND + '[project]\nname = "h"\ndynamic = ["version"]\n'
                '[tool.hatch.version]\npath = "h/__about__.py"',
                "h/__about__.py": '__version__ = "7.0rc1"',
            },
            "h",
            "7.0rc1",
            (),
        ),
        (
            {"setup.py": SETUP_PY},
            "s",
            "2",
            (("s", "s:m"),),
        ),
    ],
)
def test_metadata_is_read_without_running_anything(
    files: dict[str, str], name: str, version: str, scripts: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    """pyproject.toml, Poetry's table and setup.py say the name, the version and the commands, by literals."""
    found = distribution(tmp_path, files)
    assert found is not None
    assert (found.name, found.version, found.scripts) == (name, version, scripts)


@pytest.mark.parametrize(
    "files",
    [
        {"app.py": "print(1)", "requirements.txt": ""},
        {"pyproject.toml": '[tool.poetry]\nname = "p"\nversion = "1"\npackage-mode = false'},
        {"setup.cfg": "[flake8]\nmax-line-length = 99"},
    ],
)
def test_what_cannot_be_installed_is_not(files: dict[str, str], tmp_path: Path) -> None:
    """No name, or a tool that says it is not a package: nothing is installed."""
    assert distribution(tmp_path, files) is None


def test_python_finds_what_is_installed(tmp_path: Path) -> None:
    """importlib.metadata reads the version and the entry points from the files as they are written."""
    one = Distribution(
        "My.Kit",
        "1.5",
        "pyproject.toml",
        "src",
        entry_points=(("kit.plugins", "p", "json:loads"),),
        requirements=("six",),
    )
    for file in installed_files(one, "3.11"):
        path = tmp_path / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    code = (
        "from importlib.metadata import *; d = distribution('my-kit'); print(d.version, d.requires, "
        "[e.load().__name__ for e in d.entry_points], all(f.hash is None or f.size is not None for f in d.files))"
    )
    site_packages = tmp_path / "opt/venv/lib/python3.11/site-packages"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(site_packages)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1.5", "['six']", "['loads']", "True"]
