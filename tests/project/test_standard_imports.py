"""Which modules of the standard library a project's code cannot start without."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.project import read_project


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import json, os.path\nimport numpy\n", ("json", "os")),
        ("from __future__ import annotations\nimport tkinter as tk\n", ("tkinter",)),
        ("try:\n    import cgi\nexcept ImportError:\n    cgi = None\n", ()),
        ("import sys\nif sys.platform == 'win32':\n    import winreg\nelse:\n    import fcntl\n", ("sys",)),
        ("if __name__ == '__main__':\n    import telnetlib\n", ("telnetlib",)),
        ("def late():\n    import turtle\n", ()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import imp\n", ("typing",)),
    ],
)
def test_what_must_be_there(tmp_path: Path, text: str, modules: tuple[str, ...]) -> None:
    """What stands at the top, without a condition and without a way out."""
    (tmp_path / "app.py").write_text(text)
    assert read_project(tmp_path, None).standard_modules == modules
