"""What the image runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shipml.errors import PlanError
from shipml.facts.plan import ApplicationFile, SmokeCheck
from shipml.facts.project import ProcessLine, Program, Project, Settings
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


@pytest.mark.parametrize(
    ("line", "environment", "expected", "port"),
    [
        ("gunicorn -b 0.0.0.0:$PORT a:b", (), "0.0.0.0:8080", 8080),
        ("gunicorn -b 0.0.0.0:${PORT:-9000} a:b", (), "0.0.0.0:9000", 9000),
        ("gunicorn -b 0.0.0.0:${PORT} a:b", (("PORT", "7000"),), "0.0.0.0:7000", 7000),
        ('gunicorn -b "$HOST" a:b', (("HOST", "::1 x"),), "::1 x", None),
    ],
)
def test_variables_are_filled_in_as_there_is_no_shell(
    line: str, environment: tuple[tuple[str, str], ...], expected: str, port: int | None
) -> None:
    """$PORT becomes the default, the settings' or the line's own value, is set in the image, and is exposed."""
    command = choose_command(project(web=line, environment=environment))
    assert command.arguments[2] == expected
    assert command.port == port
    assert ("PORT" in dict(command.environment)) == (port is not None and not environment)


def test_the_port_of_the_smoke_check_is_where_a_server_listens() -> None:
    """$PORT is the port that `shipml run` asks."""
    command = choose_command(project(web="serve --port $PORT", smoke=SmokeCheck(port=5000)))
    assert command.arguments == ("serve", "--port", "5000")


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
        ("A=1 python x", '"A=1"'),
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
        (project("a.py", "b.py"), "a.py, b.py", 'command = ["python", "a.py"]'),
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
