"""How files are run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipml.facts.programs import Program
from shipml.project import read_project


def programs(folder: Path, files: dict[str, str]) -> dict[str, Program]:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return {one.path: one for one in read_project(folder, None).programs}


def test_a_module_with_relative_imports_is_run_in_its_package(tmp_path: Path) -> None:
    """Its name starts below the folder that holds the package; a package with __main__ is run by its name."""
    found = programs(
        tmp_path,
        {
            "src/pkg/__init__.py": "",
            "src/pkg/part.py": "x = 1\n",
            "src/pkg/job.py": "from .part import x\nif __name__ == '__main__':\n    print(x)\n",
            "tool/__init__.py": "",
            "tool/__main__.py": "print(1)\n",
            "plain/job.py": "if __name__ == '__main__':\n    print(1)\n",
        },
    )
    job, tool = found["src/pkg/job.py"], found["tool/__main__.py"]
    assert (job.as_module, job.module, job.package_folder) == (True, "pkg.job", "src")
    assert (tool.as_module, tool.module, tool.package_folder) == (True, "tool", "")
    assert not found["plain/job.py"].as_module


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def main():\n    print(1)\n", True),
        ('"""Words."""\nimport os\nX = 3\nclass A:\n    pass\n', True),
        ("def main():\n    print(1)\nmain()\n", False),
        ("def main():\n    print(1)\nif __name__ == '__main__':\n    main()\n", False),
        ("import os\nX = os.getcwd()\n", False),
        ("for i in range(3):\n    pass\n", False),
    ],
)
def test_a_file_that_only_defines_things_is_told_apart(text: str, expected: bool, tmp_path: Path) -> None:
    """Statements at the top that call something, or flow, are not definitions."""
    assert programs(tmp_path, {"app.py": text})["app.py"].calls_nothing is expected


@pytest.mark.parametrize(
    ("line", "expected"), [("!ls -l", True), ("files = !ls", True), ("!pip install six", False), ("x != 1", False)]
)
def test_a_notebook_that_calls_a_shell_says_so(line: str, expected: bool, tmp_path: Path) -> None:
    """Pip's lines are carried out when the image is built, so they need none."""
    cell: dict[str, object] = {
        "cell_type": "code",
        "source": [line],
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    notebook = json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]})
    assert programs(tmp_path, {"a.ipynb": notebook})["a.ipynb"].calls_shell is expected
