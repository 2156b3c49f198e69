"""Old projects at the command line: as of when packages are taken."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Project, Run
from tests.package_index import serve_index


def test_what_runs_a_notebook_may_be_younger_than_its_pins(
    shipml: Run, tmp_path: Path, clean_environment: dict[str, str], make_project: Project
) -> None:
    """The kernel that shipml adds comes as it first was, with what it needs; the rest keeps the day of the pins."""
    cell = '{"cell_type": "code", "source": "import frame", "metadata": {}, "outputs": [], "execution_count": null}'
    notebook = f'{{"cells": [{cell}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}'
    folder = make_project({"requirements.txt": "frame==1.0\n", "train.ipynb": notebook})
    with serve_index() as index:
        index.add("frame", "1.0", requires=["arrays"], uploaded="2019-12-01")
        index.add("arrays", "1.0", uploaded="2019-11-01")
        index.add("arrays", "1.9", uploaded="2020-01-15")
        index.add("ipykernel", "5.1", uploaded="2019-01-01")
        index.add("nbclient", "0.1", requires=["client>=6"], uploaded="2020-02-01")
        index.add("nbclient", "0.9", requires=["client>=8"], uploaded="2023-02-01")
        for version, day in (("5.0", "2019-01-01"), ("6.0", "2020-01-20"), ("8.0", "2023-01-01")):
            index.add("client", version, uploaded=day)
        variables = {**clean_environment, "UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv")}
        done = shipml("plan", str(folder), "--platform", "linux/amd64", "--json", env=variables)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    taken = {wheel["name"]: wheel["version"] for wheel in plan["wheels"]}
    assert taken == {"frame": "1.0", "arrays": "1.0", "ipykernel": "5.1", "nbclient": "0.1", "client": "6.0"}
    assert any(one["what"] == "index" and one["value"] == "as of 2019-12-02" for one in plan["decisions"])


def test_a_range_and_a_gone_release_at_the_command_line(
    shipml: Run, tmp_path: Path, clean_environment: dict[str, str], make_project: Project
) -> None:
    """The range dates; what stands for the gone release is said, and --strict refuses it."""
    folder = make_project({"requirements.txt": "web~=2.1.0\nviews==4.2.0.32\n", "app.py": "import web, views\n"})
    with serve_index() as index:
        for version, day in (("2.1.0", "2020-03-28"), ("2.1.3", "2020-07-13"), ("3.0", "2023-08-21")):
            index.add("web", version, requires=["tools"], uploaded=day)
        for version, day in (("1.0", "2020-03-28"), ("2.0", "2023-09-30")):
            index.add("tools", version, uploaded=day)
        index.add("views", "4.2.0.34", uploaded="2020-04-01")
        variables = {**clean_environment, "UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv")}
        done = shipml("plan", str(folder), "--platform", "linux/amd64", "--json", env=variables)
        refused = shipml("plan", str(folder), "--platform", "linux/amd64", "--strict", "--json", env=variables)
    plan = json.loads(done.stdout)
    assert {wheel["name"]: wheel["version"] for wheel in plan["wheels"]} == {
        "web": "2.1.0",
        "tools": "1.0",
        "views": "4.2.0.34",
    }
    assert any("views==4.2.0.32 → views==4.2.0.34" in one["value"] for one in plan["decisions"])
    assert (refused.returncode, json.loads(refused.stdout)["error"]["kind"]) == (2, "configuration")
