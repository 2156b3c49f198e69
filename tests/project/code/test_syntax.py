"""Files that Python cannot read are told at plan time, with the place; those that do not run are warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import PlanError
from shipml.events import Notice
from shipml.project import read_project


def test_a_syntax_error_in_the_program_ends_the_plan(tmp_path: Path) -> None:
    """With file, line and a caret; in what the program imports, too."""
    (tmp_path / "app.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("a = 1\ndef f(:\n    pass\n")
    with pytest.raises(PlanError) as caught:
        read_project(tmp_path, None)
    assert "helper.py:2" in caught.value.message
    assert caught.value.message.endswith("def f(:\n          ^")
    assert "helper.py" in caught.value.hint


def test_a_broken_file_that_does_not_run_is_a_warning(tmp_path: Path) -> None:
    """It may be a template, or half done."""
    (tmp_path / "app.py").write_text("print(1)\n")
    (tmp_path / "draft.py").write_text("def f(:\n")
    heard: list[Notice] = []
    read_project(tmp_path, None, lambda event: heard.append(event) if isinstance(event, Notice) else None)
    assert [one.level for one in heard if "draft.py:1" in one.message] == ["warning"]


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"a = 1\nb = 'caf\xe9'\n", 2), ("a = 1\nb = 'x'\n".encode("utf-16"), 1)],
    ids=["latin", "utf-16"],
)
def test_another_encoding_is_named_with_its_line(data: bytes, line: int, tmp_path: Path) -> None:
    """Unless the file declares it."""
    (tmp_path / "app.py").write_bytes(data)
    with pytest.raises(PlanError) as caught:
        read_project(tmp_path, None)
    assert f"app.py:{line}" in caught.value.message
    assert "UTF-8" in caught.value.hint
    (tmp_path / "app.py").write_bytes(b"# -*- coding: latin-1 -*-\nb = 'caf\xe9'\n")
    read_project(tmp_path, None)


@pytest.mark.parametrize("text", ["type X = int\n", "def f[T](a: T) -> T:\n    return a\n", "x = f'{'a'}'\n"])
def test_newer_syntax_than_ours_is_no_error(text: str, tmp_path: Path) -> None:
    """Shipml may run on an older Python than the image."""
    (tmp_path / "app.py").write_text(text)
    read_project(tmp_path, None)
