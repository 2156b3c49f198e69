"""What code imports: from syntax alone, with its place, and what does not count."""

from __future__ import annotations

import json
from pathlib import Path

from shipml.facts.project import ProcessLine, Settings
from shipml.facts.requirements import ImportedModule
from shipml.project.code.imports import Code, scan_code
from shipml.project.code.reach import running_files
from shipml.project.corrections.names import standard_library


def scan(folder: Path, **files: str) -> Code:
    """The code of a project with these files: `__` stands for `/`, and names without an ending are Python."""
    paths = []
    for name, text in files.items():
        path = name.replace("__", "/") if not name.startswith("__") else name
        path = path if path.endswith(".ipynb") else f"{path}.py"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        paths.append(path)
    return scan_code(folder, paths)


def modules(code: Code, *paths: str) -> dict[str, ImportedModule]:
    """By name, what these files (or all) import of third parties."""
    wanted = paths or tuple(path for path, _ in code.by_file)
    return {module.name: module for module in code.third_party(wanted, standard_library())}


def test_imports_have_their_place_and_their_weight(tmp_path: Path) -> None:
    """At the top, in a function, optional, for the type checker alone: each is told from the others."""
    code = scan(
        tmp_path,
        app=(
            "import os, numpy as np\n"
            "from sklearn.svm import SVC, LinearSVC\n"
            "try:\n    import cupy\nexcept ImportError:\n    import jax\nelse:\n    import torch\n"
            "try:\n    import dill\nfinally:\n    pass\n"
            "def f():\n    import plotly\n"
            "class A:\n    import tqdm\n"
            "if __name__ == '__main__':\n    import typer\n"
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import polars\nelse:\n    import pandas\n"
        ),
    )
    found = modules(code)
    assert found["numpy"] == ImportedModule("numpy", "app.py:1")
    assert found["sklearn.svm"].members == ("LinearSVC", "SVC")
    assert {name for name, module in found.items() if module.optional} == {"cupy", "jax"}
    assert {name for name, module in found.items() if not module.top_level} == {"plotly"}
    assert set(found) == {
        *("numpy", "sklearn.svm", "cupy", "jax", "torch", "dill"),
        *("plotly", "tqdm", "typer", "pandas"),
    }


def test_the_strongest_of_several_imports_counts(tmp_path: Path) -> None:
    """One at the top outweighs one in a function, one that must succeed outweighs one that need not."""
    code = scan(
        tmp_path,
        a="def f():\n    from google.cloud import storage\n",
        b="try:\n    from google.cloud import bigquery\nexcept ImportError:\n    pass\n",
    )
    (module,) = modules(code).values()
    assert module == ImportedModule("google.cloud", "b.py:2", optional=False, members=("bigquery", "storage"))


def test_the_projects_own_modules_are_no_third_partys(tmp_path: Path) -> None:
    """Neighbours, packages, relative imports; a folder that is only called like a package hides it not."""
    code = scan(
        tmp_path,
        app="import helpers, deep, pkg.inner\nfrom . import x\nfrom .pkg import y\nimport airflow\nimport utils\n",
        helpers="",
        lib__deep="",
        pkg____init__="",
        pkg__inner="",
        airflow__dags__daily="",
        utils__tools="",
    )
    assert set(modules(code)) == {"airflow"}


def test_broken_code_gives_what_its_lines_tell(tmp_path: Path) -> None:
    """Python 2 is recognised, and its imports are read all the same."""
    code = scan(tmp_path, app="import numpy\nprint 'x'\n", template="import {{ name }}\nimport pandas\n")
    assert set(modules(code)) == {"numpy", "pandas"}
    assert code.python_2 == "app.py:2"
    assert not code.has_python_3


def test_tests_environments_and_setup_do_not_count(tmp_path: Path) -> None:
    """Nothing that does not run in the image is scanned."""
    code = scan(
        tmp_path,
        app="",
        tests__test_a="import pytest\n",
        setup="import numpy\n",
        conftest="",
        venv__lib__x="import x\n",
    )
    assert [path for path, _ in code.by_file] == ["app.py"]


def test_notebooks_are_code_by_cells(tmp_path: Path) -> None:
    """Magics are no obstacle, pip lines are kept, other languages are left out."""
    cells = [
        {"cell_type": "markdown", "source": "import nothing"},
        {
            "cell_type": "code",
            "source": ["%matplotlib inline\n", "import pandas as pd\n", "!pip install -q lightgbm==3.3\n"],
        },
        {"cell_type": "code", "source": "%%bash\nimport no\n"},
        {"cell_type": "code", "source": "if True:\n    %pip install tqdm\nfiles = !ls\npd.read_csv?\nimport numpy"},
        {"cell_type": "code", "source": "import broken (\nimport seaborn"},
    ]
    metadata = {"kernelspec": {"language": "python"}, "language_info": {"name": "python", "version": "3.8.13"}}
    text = json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4})
    other = json.dumps({"cells": cells, "metadata": {"kernelspec": {"language": "R"}}, "nbformat": 4})
    old = json.dumps(
        {"worksheets": [{"cells": [{"cell_type": "code", "input": "import scipy", "language": "python"}]}]}
    )
    code = scan(tmp_path, **{"a.ipynb": text, "r.ipynb": other, "old.ipynb": old, "broken.ipynb": "{"})
    found = modules(code)
    assert {name: module.source for name, module in found.items()} == {
        "pandas": "a.ipynb:2",
        "numpy": "a.ipynb:4",
        "broken": "a.ipynb:5",
        "seaborn": "a.ipynb:5",
        "scipy": "old.ipynb:1",
    }
    assert code.installs == (("a.ipynb:2", "!pip install -q lightgbm==3.3"), ("a.ipynb:4", "%pip install tqdm"))
    assert code.kernels == (("a.ipynb", "3.8.13"),)


def test_what_runs_is_what_commands_name_and_what_that_imports(tmp_path: Path) -> None:
    """Experiments beside the program do not count; Django imports by name, so all of it does."""
    code = scan(
        tmp_path,
        service__api="from service import model\nimport flask\n",
        service__model="from .deep.net import Net\n",
        service__deep__net="import torch\n",
        app="import streamlit\n",
        experiments__try_it="import tensorflow\n",
    )
    named = running_files(code, Settings(), [ProcessLine("web", "gunicorn service.api:app --workers 2", 1)])
    assert named == ("service/api.py", "service/deep/net.py", "service/model.py")
    assert running_files(code, Settings(command_line="python -m service.model"), ()) == named[1:]
    assert running_files(code, Settings(command=("python", "./experiments/try_it.py")), ()) == (
        "experiments/try_it.py",
    )
    assert running_files(code, Settings(), ()) == ("app.py",)
    django = scan(tmp_path, manage="import django\n", site__settings="import corsheaders\n")
    assert running_files(django, Settings(), ()) == ("manage.py", "site/settings.py")


def test_deep_code_is_no_trouble(tmp_path: Path) -> None:
    """Conditions of any depth are looked at without recursion; what Python cannot parse gives its lines."""
    deep = " + ".join(["a"] * 900)
    code = scan(tmp_path, app=f"if {deep}:\n    import numpy\n", b=f"import pandas\nx = {'(' * 500}1{')' * 500}\n")
    assert set(modules(code)) == {"numpy", "pandas"}
