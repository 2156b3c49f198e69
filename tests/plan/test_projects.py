"""Small real projects, one a case: the plan of each is kept beside it (`SHIPML_UPDATE_SNAPSHOTS=1` writes it anew).

What needs a network is handed in: a lock of made-up wheels for what the project asks for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shipml.errors import ShipmlError
from shipml.facts.plan import BasePin, LockedWheel
from shipml.facts.project import Lock, Project
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan import make_plan, python_candidates
from shipml.project import read_project
from shipml.resolver import inputs_digest

PROJECTS = Path(__file__).parents[1] / "projects"
CASES = sorted(path.name for path in PROJECTS.iterdir() if path.is_dir())
LARGE = {"scikit-learn": 9_700_000, "pandas": 12_800_000, "numpy": 16_900_000}
AMD64 = Platform("linux", "amd64")


def made_up_lock(project: Project, suite: str, python: str) -> Lock:
    """A lock as it could be: one wheel a requirement."""
    asked = project.requirements.requirements if project.requirements is not None else ()
    plain = sorted({one.name for one in asked if one.name})
    wheels = tuple(
        LockedWheel(
            name=name,
            version="1.0",
            url=f"https://example.org/{name}-1.0-py3-none-any.whl",
            size_bytes=LARGE.get(name, 50_000),
            digest=Digest(hashlib.sha256(name.encode()).hexdigest()),
            filename=f"{name}-1.0-py3-none-any.whl",
        )
        for name in plain
    )
    return Lock(wheels, suite, python, AMD64, inputs_digest(project, AMD64))


def asked(project: Project) -> dict[str, object]:
    """What is handed to uv, and what else was read of the project."""
    declared = project.requirements
    if declared is None:
        return {}
    return {
        "requirements": [f"{one.line}  # {one.source}" for one in declared.requirements],
        "constraints": [f"{one.line}  # {one.source}" for one in declared.constraints],
        "options": list(declared.options),
        "unknown": [f"{one.source} {one.name}" for one in declared.unknown],
        "python": [f"{one.source} {one.value} ({one.kind})" for one in project.python_evidence],
        "imports": [f"{one.source} {one.name}" for one in project.imports],
    }


def plan_text(folder: Path) -> str:
    """The plan, or the error, as indented JSON."""
    try:
        project = read_project(folder, None)
        candidate = python_candidates(project)[0]
        suite = candidate.suite
        lock = made_up_lock(project, suite.name, suite.python)
        base = BasePin(suite.name, suite.release, AMD64, ())
        document = make_plan(project, lock=lock, base=base, candidate=candidate, platform=AMD64).to_json()
        document["asked"] = asked(project)
    except ShipmlError as error:
        document = {"error": error.to_json()}
    return json.dumps(document, indent=2, ensure_ascii=False).replace(str(folder), "PROJECT") + "\n"


@pytest.mark.parametrize("case", CASES)
def test_each_project_has_the_plan_that_is_kept_beside_it(case: str, tmp_path: Path) -> None:
    """A change of a plan shows as a change of a file."""
    folder = tmp_path / case
    shutil.copytree(PROJECTS / case, folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    kept = PROJECTS / f"{case}.plan.json"
    if os.environ.get("SHIPML_UPDATE_SNAPSHOTS"):
        kept.write_text(plan_text(folder))
    assert plan_text(folder) == kept.read_text()


@pytest.mark.parametrize(
    ("variables", "mask"),
    [
        ({"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}, "077"),
        ({"PYTHONHASHSEED": "2", "TZ": "America/Caracas", "LC_ALL": "C.UTF-8", "LANG": "tr_TR.UTF-8"}, "000"),
        ({"PYTHONHASHSEED": "3", "TZ": "UTC", "PYTHONUTF8": "1", "USER": "x", "HOME": "/nowhere"}, "027"),
    ],
)
def test_a_plan_is_the_same_bytes_everywhere(variables: dict[str, str], mask: str, tmp_path: Path) -> None:
    """Time zone, locale, umask, hash seed, user and the order of files on disk leave no trace."""
    folder = tmp_path / "iris"
    folder.mkdir()
    names = [str(path.relative_to(PROJECTS / "iris")) for path in (PROJECTS / "iris").rglob("*")]
    order = sorted(names, key=lambda name: hashlib.sha256(f"{mask}{name}".encode()).digest())
    copy = "".join(f"cp '{PROJECTS / 'iris'}/{name}' '{folder}/{name}'\n" for name in order)
    code = (
        "import importlib.util, pathlib, sys\n"
        f"spec = importlib.util.spec_from_file_location('projects', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        f"sys.stdout.buffer.write(module.plan_text(pathlib.Path({str(folder)!r})).encode())\n"
    )
    script = f"umask {mask}\n{copy}exec '{sys.executable}' -c \"$CODE\"\n"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "CODE": code, **variables}
    done = subprocess.run(["sh", "-ec", script], env=environment, capture_output=True, check=True)
    assert done.stdout == (PROJECTS / "iris.plan.json").read_bytes()
