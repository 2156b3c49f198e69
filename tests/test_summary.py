"""One summary of build, run and push: for people, for programs, for GitHub Actions."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shipml.cli.console import Console
from shipml.cli.github import tell_github
from shipml.errors import UsageError
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference
from shipml.outcome import Outcome, output_file_text
from shipml.publish.pushed import Pushed
from shipml.report import BuildReport, LayerReport
from tests.peers.engine import run
from tests.peers.forked import SHIPML, run_forked
from tests.peers.registry import Registry

DIGEST = Digest.of(b"image")
REFERENCES = tuple(Reference.parse(f"r.example.org/iris:{tag}") for tag in ("1.4", "stable"))
PUSHED = Pushed(DIGEST, REFERENCES, "client", "same manifest", "the test", 1.5, "passed", 3500, 66_000_000, 0)
HOSTILE = "x`|</details>\n::set-output name=a::b\n[link](https://example.org)"


def built(source: str = "scipy==1.17.1", size_bytes: int = 35_000_000) -> BuildReport:
    """A report of a build with one layer."""
    layer = LayerReport(DIGEST, DIGEST, size_bytes, "wheel", source, reused=True)
    return BuildReport(
        DIGEST,
        ("iris:latest",),
        size_bytes + 1000,
        "embedded",
        "debian:trixie",
        "3.13",
        "linux/amd64",
        (layer,),
        (),
        2.0,
    )


def smoke(measures: Mapping[str, float | None], because: str = "exit code 0") -> dict[str, Any]:
    """What a run came to."""
    return {"passed": True, "measures": dict(measures), "because": because, "exit_code": 0}


def read_outputs(text: str) -> dict[str, str]:
    """A file of outputs as GitHub reads it."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        name, _, delimiter = line.partition("<<")
        assert delimiter, f"GitHub cannot read {line!r}"
        value = []
        while (inner := next(lines)) != delimiter:
            value.append(inner)
        found[name] = "\n".join(value)
    return found


def test_outputs_of_a_workflow() -> None:
    """The next steps get digest, reference with digest, every name, the size, and each measure."""
    outputs = Outcome(built(), smoke({"accuracy": 0.96875, "f1": 1.0}), PUSHED, 3.0).outputs()
    assert outputs == {
        "digest": str(DIGEST),
        "reference": f"r.example.org/iris@{DIGEST}",
        "references": "r.example.org/iris:1.4\nr.example.org/iris:stable",
        "size_bytes": "35001000",
        "passed": "true",
        "accuracy": "0.96875",
        "f1": "1",
    }
    assert read_outputs(output_file_text(outputs, "END")) == outputs


def test_measures_cannot_take_the_names_of_outputs() -> None:
    """A program that prints `digest: 1` or stranger names changes no output of ours; what is no number is left out."""
    measures = {"digest": 1.0, "reference": 2.0, "mean error": 0.5, "1st": 3.0, "lost": None}
    outputs = Outcome(None, smoke(measures), PUSHED).outputs()
    assert outputs["digest"] == str(DIGEST)
    assert outputs["reference"] == PUSHED.pinned
    assert {"measure_digest", "measure_reference", "mean_error", "measure_1st"} <= set(outputs)
    assert "lost" not in outputs


def test_a_value_cannot_end_its_block() -> None:
    """A value with the delimiter in it would set outputs of its own, and is refused."""
    with pytest.raises(ValueError, match="END"):
        output_file_text({"a": "1\nEND\nb<<END\n2"}, "END")


def test_the_summary_of_a_job() -> None:
    """The page names what to deploy, size, base, smoke test, measures and the largest layers."""
    page = Outcome(built(), smoke({"accuracy": 0.96875}), PUSHED, 3.0).markdown()
    for words in ("`r.example.org/iris:1.4`", PUSHED.pinned, "35.0 MB", "accuracy", "0.96875", "3.50 kB", "scipy"):
        assert words in page
    assert page.count("<details>") == page.count("</details>") == 1


def test_nothing_from_outside_breaks_the_page() -> None:
    """Names of layers, measures and reasons are shown as they stand: no markup, line or command of theirs counts."""
    page = Outcome(built(HOSTILE), smoke({HOSTILE: 1.0}, HOSTILE), PUSHED, 3.0).markdown()
    assert page.count("\n") == Outcome(built("x"), smoke({"x": 1.0}, "x"), PUSHED, 3.0).markdown().count("\n")
    assert page.count("</details>") == 1
    assert "](https" not in page
    assert not any(line.startswith("::") for line in page.splitlines())


def test_what_was_not_done_is_not_claimed() -> None:
    """A build alone has no reference and no smoke test; a push of what was not run says so."""
    assert "smoke test" not in Outcome(built()).markdown()
    assert set(Outcome(built()).outputs()) == {"digest", "references", "size_bytes"}
    assert "passed" not in Outcome(None, None, PUSHED).outputs()
    assert Outcome().to_json()["digest"] is None


def test_files_of_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The files are appended to where the variables name them, and one that cannot be written is a warning."""
    output, page = tmp_path / "output", tmp_path / "page"
    output.write_text("before<<E\n1\nE\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    tell_github(Outcome(built()), Console())
    assert read_outputs(output.read_text()) | {"before": "1"} == read_outputs(output.read_text())
    assert read_outputs(output.read_text())["digest"] == str(DIGEST)
    assert page.read_text().startswith("### `iris:latest`")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "absent" / "page"))
    tell_github(Outcome(built()), Console())
    assert "cannot be written" in capsys.readouterr().err
    monkeypatch.delenv("GITHUB_OUTPUT")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    tell_github(Outcome(built()), Console())
    assert capsys.readouterr().err == ""


def test_errors_are_annotations(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In GitHub Actions an error stands at the top of the job, in one line whatever it holds; elsewhere it does not."""
    error = UsageError("50 % of\n::error::x", hint="do this")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    Console().fail(error)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::error title=")]
    assert lines == ["::error title=shipml::50 %25 of%0A::error::x%0Ado this"]
    monkeypatch.delenv("GITHUB_ACTIONS")
    Console().fail(error)
    assert "::error title" not in capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path, hub: Registry) -> Path:
    """A project without packages, on a base in a registry: built in a second, without a package index."""
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "app.py").write_text("print('accuracy: 0.97')\n")
    (folder / "requirements.txt").write_text("")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "churn"\nversion = "1.4"\n[tool.shipml]\n'
        f'base = "{hub.host}/library/python:3.11-slim"\n[tool.shipml.smoke.minimum]\naccuracy = 0.9\n'
        f'[tool.shipml.registries.lab]\nhost = "{hub.host}"\nrepository = "ship/{os.urandom(4).hex()}"\n'
    )
    return folder


def shipml(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in the project, in a home of its own, as GitHub Actions would."""
    home = folder.parent
    own = {
        "HOME": str(home),
        "SHIPML_HOME": str(home / "store"),
        "DOCKER_HOST": f"unix://{home}/no-engine",
        "GITHUB_OUTPUT": str(home / "output"),
        "GITHUB_STEP_SUMMARY": str(home / "page"),
    }
    return run_forked([SHIPML, *words], environment={**os.environ, **own}, folder=folder)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.broken_images  # the base's layer stays in its registry
def test_ship(project: Path, hub: Registry) -> None:
    """`ship` builds, runs and pushes to the registry of the settings; stdout says what to deploy, which is there."""
    done = shipml(project, "ship")
    assert done.returncode == 0, done.stderr
    pinned = done.stdout.removesuffix("\n")
    repository, _, digest = pinned.partition("@")
    assert repository.startswith(f"{hub.host}/ship/")
    found = json.loads(run(["skopeo", "inspect", "--tls-verify=false", f"docker://{repository}:1.4"]).stdout)
    assert found["Digest"] == digest
    assert "accuracy: 0.97" in done.stderr
    outputs = read_outputs((project.parent / "output").read_text())
    assert (outputs["reference"], outputs["accuracy"], outputs["passed"]) == (pinned, "0.97", "true")
    assert pinned in (project.parent / "page").read_text()

    again = shipml(project, "ship", "--json", "--tag", "latest")
    document = json.loads(again.stdout)
    assert (document["digest"], document["measures"]) == (digest, {"accuracy": 0.97})
    assert document["push"]["smoke"] == "passed before"
    assert document["push"]["uploaded_bytes"] < 10_000
    assert document["push"]["references"] == [f"{repository}:latest"]

    (project / "app.py").write_text("print('accuracy: 0.5')\n")
    worse = shipml(project, "ship", "--json", "--tag", "worse")
    assert worse.returncode == 3, worse.stderr
    assert json.loads(worse.stdout)["error"]["kind"] == "smoke-test"
    missing = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{repository}:worse"], capture_output=True, check=False
    )
    assert missing.returncode != 0
