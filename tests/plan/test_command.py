"""What the image runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shipml.errors import PlanError
from shipml.facts.plan import ApplicationFile, SmokeCheck
from shipml.facts.programs import Program
from shipml.facts.project import Distribution, ProcessLine, Project, Settings
from shipml.facts.requirements import DeclaredRequirement, Requirements
from shipml.plan.command import choose_command


def project(*files: str, line: str | None = None, web: str | None = None, **settings: object) -> Project:
    found = Settings(command_line=line, source="shipml.toml")
    return Project(
        Path("project"),
        settings=replace(found, **settings),  # type: ignore[arg-type]
        files=tuple(ApplicationFile(path, "file", executable=path.endswith("x.py")) for path in sorted(files)),
        programs=tuple(Program(path, "script") for path in sorted(files) if path.endswith(".py") and "/" not in path),
        processes=(ProcessLine("release", "x", 1), ProcessLine("web", web, 2)) if web else (),
    )


@pytest.mark.parametrize(
    ("found", "arguments", "because"),
    [
        (project("app.py", "main.py"), ("python", "app.py"), "app.py is there"),
        (project("train.py", "predict.py"), ("python", "predict.py"), "predict.py is there"),
        (project("a.py", "train.py"), ("python", "train.py"), "train.py is there"),
        (project("main.py", "train.py"), ("python", "main.py"), "main.py is there"),
        (project("app.py", command=("python", "-m", "x $HOME|")), ("python", "-m", "x $HOME|"), "shipml.toml says so"),
        (project("app.py", line="python 'my app.py' --x"), ("python", "my app.py", "--x"), "shipml.toml says so"),
        (project("app.py", web="gunicorn app:app"), ("gunicorn", "app:app"), "Procfile:2 says so"),
        (project(web="exec gunicorn 'a:make()'"), ("gunicorn", "a:make()"), "Procfile:2 says so"),
        (project(line="python -c \"print('a;b')\""), ("python", "-c", "print('a;b')"), "shipml.toml says so"),
        (project("bin/x.py", line="./bin/x.py"), ("./bin/x.py",), "shipml.toml says so"),
    ],
)
def test_the_strongest_statement_decides(found: Project, arguments: tuple[str, ...], because: str) -> None:
    """Settings come before the Procfile, that before app.py, that before main.py; strings are split."""
    command = choose_command(found, packages=())
    assert (command.arguments, command.because) == (arguments, because)


EXPANDED = ("python", "/opt/shipml/expand.py")


@pytest.mark.parametrize(
    ("line", "environment", "expected", "port", "in_image"),
    [
        ("gunicorn -b 0.0.0.0:$PORT a:b", (), "gunicorn -b 0.0.0.0:${PORT} a:b", 8080, {"PORT": "8080"}),
        ("gunicorn -b :${PORT:-9000} a:b", (), "gunicorn -b :${PORT} a:b", 9000, {"PORT": "9000"}),
        ("gunicorn -b :${PORT} a:b", (("PORT", "7000"),), "gunicorn -b :${PORT} a:b", 7000, {}),
        ("serve -w ${WORKERS:-2}", (), "serve -w ${WORKERS}", 8080, {"PORT": "8080", "WORKERS": "2"}),
        ("uvicorn m:app", (), "uvicorn m:app --host 0.0.0.0 --port ${PORT}", 8080, {"PORT": "8080"}),
        ("uvicorn m:app --port=81", (), "", 81, {"PORT": "81"}),
        ("gunicorn m:app", (), "", 8080, {"PORT": "8080"}),
        ("gunicorn -b 0.0.0.0:8000 m:app", (), "", 8000, {"PORT": "8000"}),
        ("python server.py", (), "", 8080, {"PORT": "8080"}),
    ],
)
def test_variables_stay_variable_and_servers_know_where_to_listen(
    line: str, environment: tuple[tuple[str, str], ...], expected: str, port: int | None, in_image: dict[str, str]
) -> None:
    """A launcher fills in variables at the start; a web process has PORT in its image, with what it defaults to."""
    command = choose_command(project(web=line, environment=environment))
    if expected:
        assert command.arguments == (*EXPANDED, *expected.split())
    assert command.port == port
    assert dict(command.environment) == in_image


def test_the_port_of_the_smoke_check_is_where_a_server_listens() -> None:
    """$PORT is the port that `shipml run` asks."""
    command = choose_command(project(web="serve --port $PORT", smoke=SmokeCheck(port=5000)))
    assert command.port == 5000
    assert dict(command.environment) == {"PORT": "5000"}


def test_a_module_that_does_not_exist_gives_way_to_the_projects_only_app() -> None:
    """The Procfile's app is corrected, and said; one that exists stays as it is."""
    app = Program("web.py", "flask", object="flask_app")
    found = replace(project("web.py", web="gunicorn server:app"), programs=(app,))
    assert choose_command(found).arguments == ("gunicorn", "web:flask_app")
    assert choose_command(replace(found, files=project("server.py").files)).arguments == ("gunicorn", "server:app")


@pytest.mark.parametrize(
    ("web", "files", "expected"),
    [
        ("gunicorn src.app:app", ("src/main.py", "web.py"), "gunicorn web:flask_app"),
        ("gunicorn src.main:app", ("src/main.py", "web.py"), "gunicorn src.main:app"),
        ("gunicorn mlflow.server:app", ("web.py",), "gunicorn web:flask_app"),
        ("python main.py", ("web.py",), "python web.py"),
        ("python main.py", ("web.py", "src/main.py"), "python src/main.py"),
        ("python -m streamlit run main.py", ("web.py",), ""),
    ],
)
def test_a_procfile_that_names_what_is_not_there_is_corrected(web: str, files: tuple[str, ...], expected: str) -> None:
    """Where only one file can be meant; it is said. What the settings say is meant as it is."""
    app = Program("web.py", "flask", object="flask_app")
    command = choose_command(replace(project(*files, web=web), programs=(app,)))
    if expected:
        assert command.arguments == tuple(expected.split())
    assert bool(command.fixed) == (expected not in {web, ""})
    listed = Requirements(path="requirements.txt", requirements=(DeclaredRequirement("mlflow", "x:1", "mlflow"),))
    of_a_package = replace(project("web.py", web="gunicorn mlflow.server:app"), programs=(app,), requirements=listed)
    assert not choose_command(of_a_package).fixed
    set_by_hand = choose_command(replace(project(*files, line=web), programs=(app,)))
    assert not set_by_hand.fixed


@pytest.mark.parametrize(
    ("line", "started", "environment"),
    [
        ("cd web && python serve.py", ("--chdir=web", "python", "serve.py"), {}),
        ("cd web && cd api && exec python x.py", ("--chdir=web/api", "python", "x.py"), {}),
        ("A=1 B='x y' python serve.py", ("python", "serve.py"), {"A": "1", "B": "x y"}),
        ("export A=1 && cd web; python serve.py", ("--chdir=web", "python", "serve.py"), {"A": "1"}),
    ],
)
def test_a_folder_and_variables_before_the_program_need_no_shell(
    line: str, started: tuple[str, ...], environment: dict[str, str]
) -> None:
    """A launcher starts it in the folder; the variables are the image's."""
    command = choose_command(project("web/serve.py", "web/api/x.py", "serve.py", line=line))
    assert command.arguments == (started if started[0] == "python" else (*EXPANDED, *started))
    assert dict(command.environment) == environment


def test_a_script_that_only_sets_streamlit_up_is_left_out() -> None:
    """What follows is the command; any other script needs a shell."""
    found = replace(project(web="sh setup.sh && streamlit run app.py"), streamlit_setups=("setup.sh",))
    assert choose_command(found).arguments[:5] == (*EXPANDED, "streamlit", "run", "app.py")
    with pytest.raises(PlanError):
        choose_command(replace(found, streamlit_setups=()))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a | b", '"|"'),
        ("a && b", '"&"'),
        ("a > b", '">"'),
        ("echo `date`", '"`"'),
        ('echo "`date`"', '"`"'),
        ("echo $(date)", '"$("'),
        ("ls *.py", '"*"'),
        ("A=$(b) python x", '"$("'),
    ],
)
def test_what_needs_a_shell_is_refused_unless_there_is_one(line: str, reason: str) -> None:
    """The error says what needs it; with --with-shell the line is handed to /bin/sh as it is."""
    with pytest.raises(PlanError) as caught:
        choose_command(project(line=line))
    assert f"needs a shell for {reason}" in caught.value.message
    assert "--with-shell" in caught.value.hint
    assert choose_command(project(line=line), with_shell=True).arguments == ("/bin/sh", "-c", line)


@pytest.mark.parametrize(
    ("found", "message", "hint"),
    [
        (project(), "nothing to run in project", "add an app.py"),
        (project("README.md", "pkg/x.py"), "nothing to run", "add an app.py"),
        (project(line="serve $MODEL"), "uses $MODEL, which is not set", "[env]"),
        (project(line="python 'x"), "open quotation", "close it"),
        (project("app.py", line="app.py --x"), "starts with app.py", 'command = "python app.py --x"'),
        (project("x.py", line="./y.py"), "starts with ./y.py", "put python before it"),
        (project(line="  "), "the command is empty", "say what to run"),
    ],
)
def test_when_it_is_not_clear_what_to_run_the_way_to_say_it_is_shown(found: Project, message: str, hint: str) -> None:
    """The error lists the candidates, the hint is a line that can be pasted."""
    with pytest.raises(PlanError) as caught:
        choose_command(found)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_where_only_the_alphabet_decides_the_first_is_taken_and_said() -> None:
    """There is a command, and the others are named; a telling name or word leaves no doubt."""
    command = choose_command(project("one.py", "two.py"), packages=())
    assert command.arguments == ("python", "one.py")
    assert "two.py" in command.doubt
    for telling in (("a.py", "model_train.py"), ("a_storage.py", "b.py"), ("score_2.py", "zeta.py")):
        assert choose_command(project(*telling), packages=()).doubt == ""
    assert choose_command(project("a_storage.py", "b.py"), packages=()).arguments[-1] == "b.py"


SCRIPTS = Distribution(
    "Sales-Kit", "1.0", "pyproject.toml", "src", entry_points=(("console_scripts", "sales", "s.c:main"),)
)


def test_a_script_of_the_projects_metadata_is_the_command() -> None:
    """The only one is run; of several the project's namesake, else the likeliest, which is said."""
    one = replace(project("src/s/c.py"), distributions=(SCRIPTS,))
    assert choose_command(one, packages=()).arguments == ("sales",)
    points = (("console_scripts", "fit", "s.c:fit"), ("console_scripts", "serve-it", "s.c:serve"))
    several = replace(one, distributions=(replace(SCRIPTS, entry_points=points),))
    command = choose_command(several, packages=())
    assert (command.arguments, command.others) == (("serve-it",), ("fit",))
    assert "fit" in command.doubt


def test_a_module_of_a_package_is_run_as_one() -> None:
    """`python -m` finds what it imports relatively; a package below src has its folder on the path."""
    module = Program("src/pkg/job.py", "script", as_module=True, package_folder="src")
    command = choose_command(replace(project(), programs=(module,)), packages=())
    assert command.arguments == ("python", "-m", "pkg.job")
    assert dict(command.environment) == {"PYTHONPATH": "/app/src"}
