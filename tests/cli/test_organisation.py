"""An organisation's defaults, below the settings of projects: /etc/shipml.toml, or what SHIPML_CONFIG names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipml.facts.project import Settings
from shipml.project.organisation import organisation_defaults, with_defaults
from shipml.project.settings import load_settings
from tests.cli.conftest import Project, Run

DEFAULTS = """\
strict = true
allowed-bases = ["debian:bookworm"]

[registries.company]
host = "127.0.0.1:1"
repository = "team/app"

[environments.int]
registry = "company"
repository = "int/app"

[environments.prod]
registry = "company"
repository = "prod/app"
"""


@pytest.fixture
def config(tmp_path: Path) -> dict[str, str]:
    """The environment that names the file of defaults."""
    path = tmp_path / "company.toml"
    path.write_text(DEFAULTS)
    return {"SHIPML_CONFIG": str(path)}


def test_strict_is_a_default(shipml: Run, make_project: Project, config: dict[str, str]) -> None:
    """What would be corrected is refused, naming the file that says so; a project cannot end that."""
    folder = make_project(
        {"app.py": "print(1)\n", "requirements.txt": "pywin32==305\n", "shipml.toml": "strict = false\n"}
    )
    error = json.loads(shipml("plan", str(folder), "--json", env=config).stdout)["error"]
    assert (error["kind"], error["exit_code"]) == ("configuration", 2)
    assert config["SHIPML_CONFIG"] in error["message"]
    assert "requirements.txt:1" in error["message"]
    assert "strict = false" not in error["hint"]


@pytest.mark.parametrize("base", ["debian:trixie", "python:3.12-slim"])
def test_only_allowed_bases_are_taken(shipml: Run, make_project: Project, tmp_path: Path, base: str) -> None:
    """Another base is refused before anything is fetched, and the hint names those that are allowed."""
    (tmp_path / "company.toml").write_text('allowed-bases = ["debian:bookworm"]\n')
    folder = make_project({"app.py": "print(1)\n", "shipml.toml": f'base = "{base}"\n'})
    environment = {"SHIPML_CONFIG": str(tmp_path / "company.toml"), "SHIPML_HUB_MIRROR": "127.0.0.1:1"}
    error = json.loads(shipml("plan", str(folder), "--json", env=environment).stdout)["error"]
    assert error["kind"] == "plan"
    assert "debian:bookworm" in error["hint"]


def test_environments_come_from_the_organisation(shipml: Run, config: dict[str, str]) -> None:
    """Without a project, `promote` goes where the organisation says; without the file it does not know where."""
    done = shipml("promote", "1.0", "--from", "int", "--to", "prod", "--json", env=config)
    assert done.returncode == 75
    assert "127.0.0.1:1" in json.loads(done.stdout)["error"]["message"]
    assert shipml("promote", "1.0", "--from", "int", "--to", "prod", env={"SHIPML_CONFIG": ""}).returncode == 2


@pytest.mark.parametrize("content", [None, "stict = true\n", "strict = yes\n", 'command = "python app.py"\n'])
def test_a_wrong_file_is_an_error_that_names_it(
    shipml: Run, make_project: Project, tmp_path: Path, content: str | None
) -> None:
    """A file that is missing, is not TOML, or has settings that are not for organisations ends the command."""
    path = tmp_path / "company.toml"
    if content is not None:
        path.write_text(content)
    folder = make_project({"app.py": "print(1)\n"})
    error = json.loads(shipml("plan", str(folder), "--json", env={"SHIPML_CONFIG": str(path)}).stdout)["error"]
    assert error["kind"] == "configuration"
    assert str(path) in error["message"]


@pytest.mark.parametrize("name", ["shipml.toml", "pyproject.toml"])
def test_all_wrong_settings_are_named_with_their_lines(shipml: Run, make_project: Project, name: str) -> None:
    """Unknown keys and wrong values of a file are one error."""
    root = "tool.shipml." if name == "pyproject.toml" else ""
    head = "[tool.shipml]\n" if root else "# settings\n"
    text = f'{head}comand = "python app.py"\npython = 3.11\n[{root}smoke]\ntimeout = "long"\nexpekt = "x"\n'
    folder = make_project({"app.py": "print(1)\n", name: text})
    error = json.loads(shipml("plan", str(folder), "--json").stdout)["error"]
    assert error["kind"] == "configuration"
    assert [f"{name}:{line}: " in error["message"] for line in (2, 3, 5, 6)] == [True] * 4
    assert "command" in error["hint"]
    assert "expect" in error["hint"]


def test_settings_of_the_project_win_key_by_key(config: dict[str, str]) -> None:
    """A project changes one key of a registry; allowed bases and strict stay, and a project may be strict by itself."""
    defaults = organisation_defaults(config)
    own = load_settings({"strict": False, "registries": {"company": {"repository": "mine/app"}}}, "shipml.toml")
    merged = with_defaults(own, defaults)
    assert dict(merged.registries)["company"] == (("host", "127.0.0.1:1"), ("repository", "mine/app"))
    assert dict(merged.environments) == dict(defaults.environments)
    assert merged.strict_by == config["SHIPML_CONFIG"]
    assert merged.allowed_bases == ("debian:bookworm",)
    assert with_defaults(load_settings({"strict": True}, "shipml.toml"), Settings()).strict_by == "shipml.toml"


def test_changes_are_the_last_line_in_ci(shipml: Run, make_project: Project, shared_home: Path) -> None:
    """With CI=true the last line names what was corrected; the JSON always does."""
    folder = make_project({"app.py": "print(1)\n", "requirements.txt": "pywin32==305\n"})
    environment = {"SHIPML_HOME": str(shared_home)}
    done = shipml("build", str(folder), "--no-load", env={**environment, "CI": "true"})
    assert done.returncode == 0, done.stderr
    assert "pywin32==305" in done.stderr.splitlines()[-1]
    again = shipml("build", str(folder), "--no-load", "--json", env={**environment, "CI": ""})
    assert "pywin32==305" not in again.stderr.splitlines()[-1]
    assert len(json.loads(again.stdout)["changes"]) == 1
