"""What a failed import teaches is heeded at once: the image is built again, and the next build knows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Project, Run
from tests.package_index import serve_index

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_a_package_that_is_too_new_for_another_is_taken_as_it_was(
    shipml: Run, shared_home: Path, tmp_path: Path, make_project: Project
) -> None:
    """A name that is gone, and a need that nobody states: two lines, one image that starts, one line in the plan."""
    folder = make_project({"app.py": "import website, loader\nprint(website.quote, loader.kind)\n"}, name="taught")
    (folder / "requirements.txt").write_text("website\nloader\n")
    with serve_index() as index:
        home = {"SHIPML_HOME": str(shared_home), "UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv")}
        web = {"website/__init__.py": b"from urltools import quote\n"}
        index.add("website", "1.0", requires=["urltools"], uploaded="2022-03-28", files=web)
        index.add("urltools", "2.0", uploaded="2022-01-01", files={"urltools/__init__.py": b"quote = 'quoted'\n"})
        index.add("urltools", "2.9", uploaded="2024-01-01", files={"urltools/__init__.py": b""})
        loads = {"loader/__init__.py": b"import werkzeug\nkind = werkzeug.kind\n"}
        index.add("loader", "1.0", uploaded="2022-05-01", files=loads)
        index.add("werkzeug", "2.1", uploaded="2022-04-01", files={"werkzeug/__init__.py": b"kind = 'old'\n"})
        index.add("werkzeug", "3.0", uploaded="2023-04-01", files={"werkzeug/__init__.py": b"kind = 'new'\n"})
        built = shipml("build", str(folder), env=home)
        assert built.returncode == 0, built.stderr
        assert built.stderr.count("built again") == 2
        plan = json.loads(shipml("plan", str(folder), "--json", env=home).stdout)
        strict = shipml("build", str(folder), "--strict", "--json", env=home)
    assert {one["name"]: one["version"] for one in plan["wheels"]} == {
        "website": "1.0",
        "urltools": "2.0",
        "loader": "1.0",
        "werkzeug": "2.1",
    }
    assert {"held back", "changed"} <= {one["what"] for one in plan["decisions"]}
    assert shipml("run", str(folder), env=home).stdout == "quoted old\n"
    assert (strict.returncode, json.loads(strict.stdout)["error"]["kind"]) == (1, "import-check")
