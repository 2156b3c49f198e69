"""A project that was cloned without the content of Git LFS."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.project.code.test_lfs_pointers import POINTER

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_a_build_refuses_pointers_and_both_ways_out_work(shipml: Run, shared_home: Path, tmp_path: Path) -> None:
    """Said at plan with what reads it, refused by build; the setting of the hint and the content itself help."""
    project = tmp_path / "lfs"
    (project / "models").mkdir(parents=True)
    (project / "app.py").write_text("print(open('models/x.joblib').read(1))\n")
    (project / "models" / "x.joblib").write_text(POINTER)

    def ship(*words: str) -> subprocess.CompletedProcess[str]:
        return shipml(*words, env={"SHIPML_HOME": str(shared_home)})

    plan = ship("plan", str(project), "--json")
    assert plan.returncode == 0, plan.stderr
    (missing,) = (one for one in json.loads(plan.stdout)["decisions"] if one["what"] == "missing")
    assert missing["value"] == "models/x.joblib"
    assert "12.3 MB" in missing["because"]
    assert "app.py:1" in missing["because"]
    refused = ship("build", str(project), "--json")
    error = json.loads(refused.stdout)["error"]
    assert (refused.returncode, error["kind"]) == (1, "plan")
    assert "models/x.joblib" in error["message"]
    assert "git lfs pull" in error["hint"]
    setting = error["hint"].partition("shipml.toml: ")[2]
    (project / "shipml.toml").write_text(f"{setting}\n")
    assert ship("build", str(project)).returncode == 0
    (project / "shipml.toml").unlink()
    (project / "models" / "x.joblib").write_text("1")
    assert ship("build", str(project)).returncode == 0
