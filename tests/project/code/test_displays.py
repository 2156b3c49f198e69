"""Code that opens windows is said at plan time."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.events import Event, Notice
from shipml.plan.package_variables import package_variables
from shipml.project import read_project


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("import matplotlib\nmatplotlib.use('TkAgg')\n", "app.py:2"),
        ("import matplotlib as mpl\nmpl.use('Agg')\n", ""),
        ("import matplotlib.pyplot as plt\nplt.switch_backend('Qt5Agg')\n", "app.py:2"),
        ("import matplotlib.pyplot as plt\nplt.show()\n", ""),
        ("import cv2\ncv2.imshow('a', 1)\n", "app.py:2"),
        ("from tkinter import Tk\nroot = Tk()\n", "app.py:2"),
    ],
)
def test_windows_are_named_with_their_line(tmp_path: Path, code: str, place: str) -> None:
    """Backends that need a display, and calls that open a window; what draws into files is nothing to say."""
    (tmp_path / "app.py").write_text(code)
    (tmp_path / "requirements.txt").write_text("matplotlib\nopencv-python\n")
    said: list[Event] = []
    read_project(tmp_path, None, said.append)
    notices = [one.message for one in said if isinstance(one, Notice) and "display" in one.message]
    assert [one.partition(" ")[0] for one in notices] == ([place] if place else [])


def test_packages_do_without_what_an_image_lacks() -> None:
    """It draws into files, but for notebooks; GitPython can be imported without git."""
    assert package_variables({"matplotlib"}, (), is_notebook=False) == {"MPLBACKEND": "Agg"}
    assert package_variables({"matplotlib"}, (), is_notebook=True) == {}
    assert package_variables({"gitpython"}, (), is_notebook=False) == {"GIT_PYTHON_REFRESH": "quiet"}
    assert package_variables({"gitpython"}, {"git"}, is_notebook=False) == {}
