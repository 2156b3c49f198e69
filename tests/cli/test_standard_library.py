"""What a program imports of the standard library is tried, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Project, Run

pytestmark = [pytest.mark.network, pytest.mark.slow]

BEFORE_3_12 = "import distutils.version\nprint(distutils.version.StrictVersion('1.0'))\n"


def test_a_module_that_python_lost(shipml: Run, shared_home: Path, make_project: Project) -> None:
    """With a Python of the user's the error names one that has it; carried out, or left to shipml, it works."""
    folder = make_project({"app.py": BEFORE_3_12}, name="older")
    home = {"SHIPML_HOME": str(shared_home)}
    failed = shipml("build", str(folder), "--python", "3.13", "--json", env=home)
    assert failed.returncode == 1
    error = json.loads(failed.stdout)["error"]
    assert error["kind"] == "import-check"
    assert "app.py:1" in error["message"]
    assert "shipml build --python 3.11" in error["hint"]
    assert shipml("build", str(folder), env=home).returncode == 0
    assert shipml("run", str(folder), env=home).stdout == "1.0\n"


def test_what_a_condition_guards_is_not_needed(shipml: Run, shared_home: Path, make_project: Project) -> None:
    """Modules of other platforms and versions are imported where they are."""
    text = "import sys\nif sys.platform == 'win32':\n    import winreg\n"
    text += "try:\n    import imp\nexcept ImportError:\n    pass\n"
    folder = make_project({"app.py": f"{text}print('fine')\n"}, name="guarded")
    built = shipml("build", str(folder), "--python", "3.13", env={"SHIPML_HOME": str(shared_home)})
    assert built.returncode == 0, built.stderr
