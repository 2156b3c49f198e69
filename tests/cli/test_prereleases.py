"""Pre-releases at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.package_index import serve_index


@pytest.mark.parametrize(
    ("asked", "expected"), [("tensors", "2.21.0"), ("tensors==2.22.0rc0", "2.22.0rc0")], ids=["open", "pinned"]
)
def test_a_lock_has_a_prerelease_only_where_it_is_pinned(
    shipml: Run, tmp_path: Path, clean_environment: dict[str, str], asked: str, expected: str
) -> None:
    """An open requirement gets the stable release, though only the candidate has a wheel for the newest Python."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text("import tensors\n")
    (folder / "requirements.txt").write_text(f"{asked}\n")
    with serve_index() as index:
        index.add("tensors", "2.21.0", "cp39-cp39-manylinux_2_17_x86_64")
        index.add("tensors", "2.22.0rc0", "cp313-cp313-manylinux_2_17_x86_64")
        variables = {**clean_environment, "UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv")}
        done = shipml("plan", str(folder), "--platform", "linux/amd64", "--json", env=variables)
    assert done.returncode == 0, done.stderr
    wheels = {wheel["name"]: wheel["version"] for wheel in json.loads(done.stdout)["wheels"]}
    assert wheels["tensors"] == expected
