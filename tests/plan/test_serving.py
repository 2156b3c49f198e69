"""How programs are served."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import PlanError
from shipml.facts.programs import Program
from shipml.facts.project import ProcessLine, Project
from shipml.plan.command import choose_command
from shipml.plan.serving import needed_packages, serve
from shipml.plan.which import choose_program

STREAMLIT = "python /opt/shipml/expand.py python -m streamlit"
FLASK = Program("app.py", "flask", line=3, object="app", routes=("/predict", "/health"))


@pytest.mark.parametrize(
    ("program", "packages", "command", "port", "http"),
    [
        (
            FLASK,
            {"flask", "gunicorn"},
            "python /opt/shipml/expand.py gunicorn --bind 0.0.0.0:$PORT app:app",
            8080,
            "/health",
        ),
        (
            FLASK,
            {"flask", "waitress"},
            "python /opt/shipml/expand.py waitress-serve --listen=0.0.0.0:$PORT app:app",
            8080,
            "/health",
        ),
        (
            FLASK,
            {"flask"},
            "python /opt/shipml/expand.py python -m flask run --host 0.0.0.0 --port $PORT",
            8080,
            "/health",
        ),
        (
            Program("web/app.py", "flask", object="create_app()"),
            {"waitress"},
            "python /opt/shipml/expand.py waitress-serve --listen=0.0.0.0:$PORT --call web.app:create_app",
            8080,
            "",
        ),
        (
            Program("a.py", "flask", object="app", prepares_itself=True, port=7000),
            {"gunicorn"},
            "python a.py",
            7000,
            "",
        ),
        (
            Program("api/main.py", "fastapi", object="app"),
            {"uvicorn"},
            "python /opt/shipml/expand.py python -m uvicorn api.main:app --host 0.0.0.0 --port $PORT",
            8080,
            "/openapi.json",
        ),
        (
            Program("ui.py", "streamlit"),
            {"streamlit"},
            f"{STREAMLIT} run ui.py --server.port $PORT --server.address 0.0.0.0 --server.headless true",
            8080,
            "/",
        ),
        (
            Program("ui.py", "gradio", object="demo"),
            {"gradio"},
            "python /opt/shipml/expand.py GRADIO_SERVER_PORT=$PORT python ui.py",
            8080,
            "/",
        ),
        (Program("ui.py", "dash", object="app", port=8050), {"dash"}, "python ui.py", 8050, "/"),
        (
            Program("manage.py", "django"),
            (),
            "python /opt/shipml/expand.py python manage.py runserver --noreload 0.0.0.0:$PORT",
            8080,
            "",
        ),
        (Program("train.py", "script"), (), "python train.py", None, ""),
    ],
)
def test_each_kind_of_program_has_its_server(
    program: Program, packages: set[str], command: str, port: int | None, http: str
) -> None:
    """The command takes the server that is installed, the port where it listens, and the path that shows its health."""
    served = serve(program, packages, 8080)
    assert (" ".join(served.arguments), served.port, served.http) == (command, port, http)


def test_a_notebook_is_a_job() -> None:
    """Its cells run in a kernel as in Jupyter, which is added with its client where nothing lists them."""
    program = Program("a b.ipynb", "notebook")
    served = serve(program, {"ipython"}, 8080)
    assert served.arguments[:2] == ("python", "/opt/shipml/notebook.py")
    assert served.arguments[-1] == "a b.ipynb"
    assert served.port is None
    assert [name for name, _ in needed_packages(program, {"numpy"})] == ["ipykernel", "nbclient"]
    assert needed_packages(program, {"ipykernel", "nbclient"}) == ()


def test_an_app_without_server_is_an_error_that_names_one() -> None:
    """A FastAPI app cannot run by itself; what would have to be added is known beforehand."""
    program = Program("app.py", "fastapi", object="app")
    with pytest.raises(PlanError) as caught:
        serve(program, {"fastapi"}, 8080)
    assert "uvicorn" in caught.value.hint
    assert needed_packages(program, {"fastapi"})[0][0] == "uvicorn"
    assert needed_packages(program, {"fastapi", "hypercorn"}) == ()


def test_a_module_in_a_folder_that_imports_its_neighbours_finds_them() -> None:
    """Its folder is put on the path, and its module is named from there."""
    served = serve(Program("backend/app.py", "flask", object="app", needs_its_folder=True), {"gunicorn"}, 8080)
    assert served.arguments[-1] == "app:app"
    assert dict(served.environment) == {"PORT": "8080", "PYTHONPATH": "/app/backend"}


def project(*programs: Program, web: str = "") -> Project:
    processes = (ProcessLine("web", web, 1),) if web else ()
    return Project(Path("project"), programs=programs, processes=processes)


@pytest.mark.parametrize(
    ("programs", "expected", "others"),
    [
        ((Program("train.py", "script"), Program("web.py", "flask", object="app")), "web.py", ()),
        ((Program("app.py", "script"), Program("ui/x.py", "streamlit")), "app.py", ("ui/x.py",)),
        (
            (Program("eda.ipynb", "notebook"), Program("train.py", "script", runs_itself=True)),
            "train.py",
            ("eda.ipynb",),
        ),
        ((Program("a.ipynb", "notebook"),), "a.ipynb", ()),
        (
            (Program("helpers.py", "streamlit", is_imported=True), Program("zoo.py", "streamlit")),
            "zoo.py",
            (),
        ),
        ((Program("src/api/main.py", "fastapi", object="app"), Program("job.py", "script")), "src/api/main.py", ()),
    ],
)
def test_the_likeliest_program_is_taken(programs: tuple[Program, ...], expected: str, others: tuple[str, ...]) -> None:
    """Apps before scripts, shallow before deep, telling names before others, notebooks last; the rest is named."""
    choice = choose_program(project(*programs))
    assert (choice.program.path, choice.others) == (expected, others)


def test_a_procfiles_app_is_asked_for_its_health() -> None:
    """The command line names a module whose routes are known."""
    command = choose_command(project(FLASK, web="gunicorn --bind 0.0.0.0:$PORT app:app"), packages=())
    assert (command.port, command.http) == (8080, "/health")
