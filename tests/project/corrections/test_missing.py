"""What the code imports and nobody asks for; what is there under another name is not asked for again."""

from __future__ import annotations

import pytest
from packaging.requirements import InvalidRequirement, Requirement

from shipml.facts.requirements import ImportedModule
from shipml.project.corrections.item import Item
from shipml.project.corrections.missing import add_missing


def added(asked: str, module: str) -> list[str]:
    """The requirements that are added to `asked` for a module."""
    try:
        requirement = Requirement(asked)
    except InvalidRequirement:
        requirement = None
    items, _, _ = add_missing(
        [Item(asked, "r.txt:1", requirement)], [ImportedModule(module, "app.py:1")], {}, named="r.txt"
    )
    return [item.text for item in items]


@pytest.mark.parametrize(
    ("asked", "module"),
    [
        ("tensorflow-cpu==2.6", "tensorflow"),
        ("tensorflow-cpu-aws", "tensorflow.keras"),
        ("tf-nightly", "tensorflow"),
        ("opencv-contrib-python-headless", "cv2"),
        ("opencv-python-rolling", "cv2"),
        ("psycopg2", "psycopg2"),
        ("psycopg2-binary", "psycopg2"),
        ("onnxruntime-gpu", "onnxruntime"),
        ("dgl-cu113", "dgl"),
        ("pillow-simd", "PIL"),
        ("https://example.org/tensorflow_cpu-2.6.0-cp38-cp38-manylinux2010_x86_64.whl", "tensorflow"),
        ("git+https://github.com/opencv/opencv-python.git@4.5", "cv2"),
        ("https://github.com/pandas-dev/pandas/archive/v1.3.zip", "pandas"),
        ("wheels/pandas-1.3-py3-none-any.whl", "pandas"),
    ],
)
def test_what_is_there_under_another_name_is_not_added(asked: str, module: str) -> None:
    """Builds for one accelerator or machine, the four of OpenCV, and packages by URL."""
    assert added(asked, module) == []


@pytest.mark.parametrize(
    ("asked", "module", "expected"),
    [
        ("tensorflow-hub", "tensorflow", "tensorflow"),
        ("psycopg", "psycopg2", "psycopg2-binary"),
        ("x", "yaml", "PyYAML"),
    ],
)
def test_what_only_sounds_alike_is_another_package(asked: str, module: str, expected: str) -> None:
    """A part that comes beside the package does not bring it."""
    assert added(asked, module) == [expected]
