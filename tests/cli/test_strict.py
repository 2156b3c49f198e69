"""`--strict`: nothing is taken otherwise than it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize("command", ["plan", "build"])
def test_strict_refuses_what_would_be_mended(shipml: Run, tmp_path: Path, command: str) -> None:
    """The error names every change with its file and line; without it each is a line on the screen."""
    (tmp_path / "app.py").write_text("import numpy\n")
    (tmp_path / "requirements.txt").write_text("numpy\npywin32==305\nsklearn\n")
    done = shipml(command, str(tmp_path), "--strict", "--json")
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["message"].startswith("--strict refuses 2 changes of what the project asks for: ")
    assert "requirements.txt:2: pywin32==305 left out: it is for Windows alone" in error["message"]
    assert "requirements.txt:3: sklearn → scikit-learn" in error["message"]
    assert "requirements.txt:2: pywin32==305 left out: it is for Windows alone" in done.stderr


def test_strict_refuses_what_only_the_code_shows_to_be_needed(shipml: Run, tmp_path: Path) -> None:
    """A reader of old Excel files is added with the line that reads one."""
    (tmp_path / "app.py").write_text("import pandas as pd\nprint(pd.read_excel('rates.xls'))\n")
    (tmp_path / "requirements.txt").write_text("pandas\n")
    done = shipml("plan", str(tmp_path), "--strict", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "configuration"), done.stderr
    assert "app.py:2: xlrd added" in done.stderr
