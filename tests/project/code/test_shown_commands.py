"""Which files the project's own texts run."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.project.code.shown_commands import find_run_evidence

PATHS = frozenset(
    {"app.py", "train.py", "ui/home.py", "src/api/main.py", "src/train.py", "pkg/__main__.py", "manage.py"}
    | {"wsgi.py", "data/x.csv", "study.ipynb", "my tool.py"}
)


def shown(folder: Path, name: str, text: str) -> list[tuple[str, tuple[str, ...], int]]:
    """(path, arguments, line) of what the file `name` shows."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    found = find_run_evidence(folder, PATHS)
    assert {one.source.rpartition(":")[0] for one in found} <= {name}
    return [(one.path, one.arguments, int(one.source.rpartition(":")[2])) for one in found]


@pytest.mark.parametrize(
    ("line", "path", "arguments"),
    [
        ("python app.py", "app.py", ()),
        ("$ python3 ./train.py --epochs 3 --data=data/x.csv", "train.py", ("--epochs", "3", "--data=data/x.csv")),
        ("python train.py --data path/to/data.csv", "train.py", ()),
        ("python train.py --model <name>", "train.py", ()),
        ("python train.py --data missing.csv", "train.py", ()),
        ("python -u -W ignore train.py", "train.py", ()),
        ("python -m src.train", "src/train.py", ()),
        ("python -m pkg --fast", "pkg/__main__.py", ("--fast",)),
        ("python -m streamlit run ui/home.py", "ui/home.py", ()),
        ("streamlit run ui/home.py --server.port 80", "ui/home.py", ()),
        ("uvicorn src.api.main:app --reload", "src/api/main.py", ()),
        ("uvicorn --app-dir src api.main:app", "src/api/main.py", ()),
        ("poetry run gunicorn -w 4 wsgi:app", "wsgi.py", ()),
        ("uv run python train.py", "train.py", ()),
        ("FLASK_APP=app.py flask run", "app.py", ()),
        ("export FLASK_APP=wsgi", "wsgi.py", ()),
        ("flask --app wsgi run", "wsgi.py", ()),
        ("fastapi dev src/api/main.py", "src/api/main.py", ()),
        ("python manage.py runserver", "manage.py", ()),
        ("jupyter notebook study.ipynb", "study.ipynb", ()),
        ('python "my tool.py"', "my tool.py", ()),
        ("cd src && python train.py", "src/train.py", ()),
        ("cd repository; pip install -r requirements.txt && python train.py", "train.py", ()),
        ("python src\\train.py", "src/train.py", ()),
        ("Start it with `python train.py`, then wait.", "train.py", ()),
        ("Run: streamlit run ui/home.py (see below)", "ui/home.py", ()),
    ],
)
def test_a_readme_shows_how_a_file_is_run(tmp_path: Path, line: str, path: str, arguments: tuple[str, ...]) -> None:
    """In a block or in a sentence; arguments count where they can be given as they are written."""
    assert shown(tmp_path, "README.md", f"# Title\n```bash\n{line}\n```\n") == [(path, arguments, 3)]


@pytest.mark.parametrize(
    "line",
    [
        "# Run the Streamlit app",
        "We use the Python app of last year",
        "python -m venv .venv && python -m pip install -r requirements.txt",
        "python other.py",
        "python -c 'import app'",
        "pytest app.py",
        "python setup.py install",
        "git clone https://example.org/train.py",
    ],
)
def test_what_runs_no_file_of_the_project_says_nothing(tmp_path: Path, line: str) -> None:
    """Comments, words of prose, tools and files that are not there."""
    assert shown(tmp_path, "README.md", f"```\n{line}\n```\n") == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("README.rst", "::\n\n    cd src\n    python train.py\n", [("src/train.py", (), 4)]),
        ("README.md", "---\nsdk: gradio\napp_file: app.py\n---\n", [("app.py", (), 3)]),
        ("Makefile", "PY=python\ntest:\n\t$(PY) train.py\nrun: x\n\t@$(PY) app.py\n", [("app.py", (), 5)]),
        ("justfile", "serve:\n    uvicorn src.api.main:app\n", [("src/api/main.py", (), 2)]),
        ("start.sh", "#!/bin/sh\nset -e\n# python train.py\nexec python app.py\n", [("app.py", (), 4)]),
        (".github/workflows/ci.yml", "jobs:\n  a:\n    steps:\n    - run: python train.py\n", [("train.py", (), 4)]),
        ("docker-compose.yml", "services:\n  a:\n    command: [python, app.py]\n", [("app.py", (), 3)]),
        ("compose.yaml", "services:\n a:\n  command:\n   - uvicorn\n   - wsgi:app\n", [("wsgi.py", (), 3)]),
        ("MLproject", 'entry_points:\n  main:\n    command: "python train.py {x}"\n', [("train.py", (), 3)]),
        ("render.yaml", "startCommand: gunicorn wsgi:app\n", [("wsgi.py", (), 1)]),
    ],
)
def test_other_files_show_it_too(
    tmp_path: Path, name: str, text: str, found: list[tuple[str, tuple[str, ...], int]]
) -> None:
    """Of a Makefile those targets that run something; of a compose file the commands."""
    assert shown(tmp_path, name, text) == found
