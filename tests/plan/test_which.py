"""Which of several programs is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.facts.programs import Program, RunEvidence, RunEvidenceKind
from shipml.facts.project import Project
from shipml.plan.command import choose_command
from shipml.plan.which import choose_program, typed_command


def project(*programs: Program | str, **shown: RunEvidenceKind) -> Project:
    """Programs, and which of them a text shows: `train_py="readme"`."""
    found = tuple(one if isinstance(one, Program) else Program(one, "script") for one in programs)
    paths = {one.path.replace("/", "_").replace(".", "_"): one.path for one in found}
    evidence = [RunEvidence(paths[name], f"{kind}:1", kind) for name, kind in shown.items()]
    return Project(Path("p"), programs=found, run_evidence=tuple(evidence))


WEB = Program("late/web.py", "streamlit")


@pytest.mark.parametrize(
    ("found", "expected", "rivals"),
    [
        (project("a.py", "b.py", b_py="readme"), "b.py", []),
        (project("a.py", "b.py", a_py="make", b_py="readme"), "b.py", []),
        (project("a.py", "b.py", a_py="mlproject", b_py="ci"), "b.py", []),
        (project("a.py", "deep/down/b.py", deep_down_b_py="compose"), "deep/down/b.py", []),
        (project("train.py", WEB, train_py="readme"), "late/web.py", []),
        (project("main.py", WEB, main_py="readme", late_web_py="readme"), "late/web.py", []),
        (project("main.py", WEB), "main.py", []),
        (project("train.py", "deploy.py", deploy_py="readme"), "train.py", []),
        (project("paths.py", "pkg/job.py"), "pkg/job.py", []),
        (project("train.py", "predict.py"), "predict.py", ["train.py"]),
        (project("b_train.py", "a_train.py", b_train_py="readme", a_train_py="readme"), "b_train.py", ["a_train.py"]),
        (project(Program("a.py", "script", is_imported=True), "b.py"), "b.py", []),
        (project(Program("a.py", "script", is_imported=True), "b.py", a_py="readme"), "a.py", []),
        (project(Program("n.ipynb", "notebook"), "util.py", n_ipynb="readme"), "util.py", []),
    ],
)
def test_what_the_projects_texts_run_is_taken(found: Project, expected: str, rivals: list[str]) -> None:
    """The README before the Makefile and so on; an app before a job, a helper late, a notebook last."""
    choice = choose_program(found)
    assert (choice.program.path, [one.path for one in choice.rivals]) == (expected, rivals)
    assert bool(choice.doubt) == bool(rivals)


def test_the_reason_and_the_arguments_are_those_of_the_text() -> None:
    """A job is run as it is shown."""
    shown = RunEvidence("train.py", "README.md:12", "readme", ("--epochs", "3"))
    found = Project(Path("p"), programs=(Program("train.py", "script"),), run_evidence=(shown,))
    command = choose_command(found, packages=())
    assert command.arguments == ("python", "train.py", "--epochs", "3")
    assert "README.md:12" in command.because


@pytest.mark.parametrize(
    ("program", "line"),
    [
        (Program("a.py", "script"), "python a.py"),
        (Program("src/p/a.py", "script", as_module=True, package_folder="src"), "python -m p.a"),
        (Program("ui.py", "streamlit"), "streamlit run ui.py"),
        (Program("web.py", "flask", object="app"), "gunicorn web:app"),
        (Program("api.py", "fastapi", object="make()"), "uvicorn --factory api:make"),
        (Program("manage.py", "django"), "python manage.py runserver"),
    ],
)
def test_the_setting_that_picks_a_program_runs_it(program: Program, line: str) -> None:
    """As one would type it; never Python on a notebook."""
    assert typed_command(program) == line
    assert not typed_command(Program("n.ipynb", "notebook")).startswith("python n")
