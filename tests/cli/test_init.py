from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from shipml.cli.init import TEMPLATES
from tests.cli.conftest import Run

EXAMPLE = Path(__file__).parents[2] / "example_project"


def test_a_new_project_is_the_example(shipml: Run, tmp_path: Path) -> None:
    """Every file is the example project's, byte for byte; the last line says what to type next."""
    done = shipml("init", str(tmp_path / "new churn"))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [str(tmp_path / "new churn" / name) for name in TEMPLATES]
    assert done.stderr == f"next: shipml build '{tmp_path}/new churn'\n"
    for name in TEMPLATES:
        assert (tmp_path / "new churn" / name).read_bytes() == (EXAMPLE / name).read_bytes()


def test_the_current_folder_is_the_default(shipml: Run, tmp_path: Path) -> None:
    """`shipml init` fills an empty folder, and a folder with other files."""
    (tmp_path / "work" / "data.csv").write_text("1")
    assert shipml("init").stderr == "next: shipml build .\n"
    assert {path.name for path in (tmp_path / "work").iterdir()} == {*TEMPLATES, "data.csv"}


def test_nothing_is_overwritten(shipml: Run, tmp_path: Path) -> None:
    """One file in the way, even a dead link, and nothing at all is written."""
    (tmp_path / "work" / "app.py").write_text("mine")
    (tmp_path / "work" / "train.py").symlink_to("nowhere")
    done = shipml("init", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] == ". already has app.py, train.py; nothing was written"
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["app.py", "train.py"]
    assert (tmp_path / "work" / "app.py").read_text() == "mine"


def test_force_overwrites(shipml: Run, tmp_path: Path) -> None:
    """--force replaces files; links are replaced, not followed."""
    outside = tmp_path / "outside.py"
    outside.write_text("theirs")
    (tmp_path / "work" / "app.py").symlink_to(outside)
    done = shipml("init", "--force", "--json")
    assert json.loads(done.stdout) == {"folder": str(tmp_path / "work"), "files": list(TEMPLATES)}
    assert outside.read_text() == "theirs"
    assert (tmp_path / "work" / "app.py").read_bytes() == (EXAMPLE / "app.py").read_bytes()


def test_a_file_in_the_place_of_the_folder(shipml: Run, tmp_path: Path) -> None:
    """A folder that cannot be made is a usage error."""
    (tmp_path / "work" / "taken").write_text("")
    done = shipml("init", "taken/inside")
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write to taken/inside: ")


@pytest.mark.network
@pytest.mark.slow
def test_the_wheel_carries_the_templates(tmp_path: Path) -> None:
    """A built wheel holds the example's files as files, once, so that init works where shipml is installed."""
    root = EXAMPLE.parent
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, root], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in TEMPLATES:
            assert archive.read(f"shipml/cli/templates/{name}") == (EXAMPLE / name).read_bytes()
        assert not [name for name in archive.namelist() if name.startswith("example_project/")]
        assert len(archive.namelist()) == len(set(archive.namelist()))
