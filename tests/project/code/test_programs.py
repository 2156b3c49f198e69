"""What files can be run as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipml.facts.plan import ApplicationFile
from shipml.facts.programs import Program
from shipml.project.code.programs import find_programs

FLASK_APP = """
import os
from flask import Flask, request
app = Flask(__name__)

@app.route("/predict", methods=["POST"])
def predict(): ...

@app.route("/users/<name>")
def user(name): ...

@app.get("/status")
def status(): ...

if __name__ == "__main__":
    app.run(host="0.0.0.0", port=int(os.environ.get("PORT", 5001)), debug=True)
"""


def programs(folder: Path, **texts: str) -> dict[str, Program]:
    files = []
    for name, text in texts.items():
        path = name.replace("__", "/") + ("" if name.endswith("ipynb") else ".py")
        path = path.replace("_ipynb", ".ipynb")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        files.append(ApplicationFile(path, "file", size_bytes=len(text)))
    return {program.path: program for program in find_programs(folder, files)}


def test_a_flask_app_is_read_with_its_routes_and_port(tmp_path: Path) -> None:
    """Only paths that GET reaches without parameters count; the port is the default of the variable."""
    found = programs(tmp_path, app=FLASK_APP)["app.py"]
    assert found == Program(
        "app.py",
        "flask",
        line=4,
        object="app",
        port=5001,
        host="0.0.0.0",
        routes=("/status",),
        runs_itself=True,
    )


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("import flask\nserver = flask.Flask('x')", "flask", "server"),
        ("from flask import Flask\ndef create_app(x=1):\n    a = Flask('x')\n    return a", "flask", "create_app()"),
        ("from fastapi import FastAPI as F\ntry:\n    api = F()\nexcept E: pass", "fastapi", "api"),
        ("import streamlit as st\nst.title('x')", "streamlit", ""),
        ("import gradio as gr\nwith gr.Blocks() as demo:\n    pass\ndemo.launch()", "gradio", "demo"),
        ("import gradio as gr\ngr.Interface(f).launch(server_port=7861)", "gradio", ""),
        ("import dash\napp = dash.Dash(__name__)\napp.run_server()", "dash", "app"),
        ("print('hello')", "script", ""),
    ],
)
def test_apps_are_known_by_import_and_object(text: str, kind: str, name: str, tmp_path: Path) -> None:
    """Aliases, factories, blocks and one-liners are seen through."""
    found = programs(tmp_path, x=text)["x.py"]
    assert (found.kind, found.object) == (kind, name)


def test_what_the_main_block_prepares_for_functions_is_noticed(tmp_path: Path) -> None:
    """A server that imports the module would not have the model; a port alone is nothing."""
    lines = "from flask import Flask\napp = Flask('x')\ndef predict():\n    return model\n"
    found = programs(
        tmp_path,
        a=f"{lines}if __name__ == '__main__':\n    model = 1\n    app.run()\n",
        b=f"{lines}if __name__ == '__main__':\n    port = 1\n    app.run()\n",
    )
    assert found["a.py"].prepares_itself
    assert not found["b.py"].prepares_itself


def test_helpers_and_tests_are_no_programs(tmp_path: Path) -> None:
    """A module deep down without a main block is none, nor are tests and setup.py; what others import is marked."""
    found = programs(
        tmp_path,
        main="import util",
        util="x = 1",
        setup="x = 1",
        src__helper="x = 1",
        tests__app="x = 1",
        src__train="import helper\nif __name__ == '__main__':\n    pass",
    )
    assert set(found) == {"main.py", "util.py", "src/train.py"}
    assert found["util.py"].is_imported
    assert found["src/train.py"].needs_its_folder


def test_files_that_are_no_python_3_are_left_out(tmp_path: Path) -> None:
    """Python 2, binary rubbish and deep nesting raise nothing."""
    found = programs(tmp_path, a="print 'x'", b="\0\0", c="(" * 5000)
    assert found == {}


def test_notebooks_of_python_are_programs(tmp_path: Path) -> None:
    """Those of other languages are not."""
    found = programs(
        tmp_path,
        a_ipynb=json.dumps({"cells": [], "metadata": {}}),
        b_ipynb=json.dumps({"metadata": {"kernelspec": {"language": "R"}}}),
        c_ipynb="no json",
    )
    assert set(found) == {"a.ipynb"}


def test_an_app_that_another_file_makes_is_served_from_where_it_is_started(tmp_path: Path) -> None:
    """`from web import app`, a factory of a package: what starts it is the program, with the routes of the other."""
    found = programs(
        tmp_path,
        web=FLASK_APP,
        wsgi="from web import app\n",
        shop__made="from fastapi import FastAPI\ndef create_app():\n    return FastAPI()\n",
        start="from shop.made import create_app as make\nservice = make()\n",
    )
    assert (found["wsgi.py"].kind, found["wsgi.py"].object, found["wsgi.py"].routes) == ("flask", "app", ("/status",))
    assert (found["start.py"].kind, found["start.py"].object) == ("fastapi", "service")
    assert found["web.py"].is_imported
    assert not found["wsgi.py"].is_imported


def test_a_part_of_another_program_is_no_candidate(tmp_path: Path) -> None:
    """However it is imported; an app that a job uses stays one, and so does one whose own parts import it."""
    guard = 'if __name__ == "__main__":\n    print(1)\n'
    found = programs(
        tmp_path,
        src__steps__clean=guard,
        run=f"from src.steps import clean\n{guard}",
        app="from flask import Flask\nimport models\napp = Flask(__name__)\n",
        models="from app import app\n",
        seed=f"from app import app\n{guard}",
    )
    assert {path for path, one in found.items() if one.is_imported} == {"src/steps/clean.py", "models.py"}
