"""A file that the program misses: the hint names what left it out or what writes it, and following it helps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Project, Run

pytestmark = [pytest.mark.network, pytest.mark.slow]

READS = 'print("weights:", len(open("models/w.bin").read()))\n'


def test_a_file_that_a_rule_leaves_out(shipml: Run, shared_home: Path, make_project: Project) -> None:
    """The rule is named with its line, and the setting of the hint, taken literally, makes the run pass."""
    folder = make_project({"app.py": READS, "models/w.bin": "x", ".dockerignore": "# big\nmodels/\n"})
    home = {"SHIPML_HOME": str(shared_home)}
    assert shipml("build", str(folder), env=home).returncode == 0
    failed = shipml("run", str(folder), "--json", env=home)
    assert failed.returncode == 3
    hint = json.loads(failed.stdout)["error"]["hint"]
    assert ".dockerignore:2" in hint
    line = re.search(r'include = \[".*"\]', hint)
    assert line
    (folder / "shipml.toml").write_text(f"{line[0]}\n")
    assert shipml("build", str(folder), env=home).returncode == 0
    passed = shipml("run", str(folder), env=home)
    assert (passed.returncode, passed.stdout) == (0, "weights: 1\n")


def test_a_file_that_a_script_writes(shipml: Run, shared_home: Path, make_project: Project) -> None:
    """The line of the script that writes it is named."""
    train = 'from pathlib import Path\nOUT = Path("models") / "w.bin"\nOUT.write_text("x")\n'
    folder = make_project({"app.py": READS, "train.py": train}, name="untrained")
    home = {"SHIPML_HOME": str(shared_home)}
    assert shipml("build", str(folder), env=home).returncode == 0
    failed = shipml("run", str(folder), "--json", env=home)
    assert failed.returncode == 3
    assert "train.py:3" in json.loads(failed.stdout)["error"]["hint"]
