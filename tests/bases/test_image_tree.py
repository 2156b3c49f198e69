"""Layers as one folder: what is seen inside a container, and nothing outside the folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from shipml.bases.image_tree import image_tree, inside
from shipml.events import ignore
from shipml.store import Store
from tests.image_fixtures import MakeImage


def test_upper_layers_hide_what_they_delete(make_image: MakeImage, store: Store) -> None:
    """Whiteouts, opaque folders and files in place of folders are applied as an engine applies them."""
    lower = {"a/kept": b"1", "a/gone": b"2", "b/old": b"3", "c/folder/file": b"4", "d": b"5"}
    upper = {"a/.wh.gone": b"", "b/.wh..wh..opq": b"", "b/new": b"6", "c/folder": b"7", "d/inside": b"8"}
    image = make_image(lower, upper)
    root = image_tree(image.digest, image.layers, store, ignore)
    assert files(root) == {"a/kept": b"1", "b/new": b"6", "c/folder": b"7", "d/inside": b"8"}


def files(root: Path) -> Mapping[str, bytes]:
    """Contents of all files below a folder, by path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_layers_own_folders_stay_as_they_are(make_image: MakeImage, store: Store) -> None:
    """Another image with the same lower layer still has what this one deleted."""
    lower = {"a/kept": b"1", "a/gone": b"2"}
    for image in (make_image(lower, {"a/.wh.gone": b""}), make_image(lower)):
        root = image_tree(image.digest, image.layers, store, ignore)
    assert files(root) == lower


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usr/bin/tool", "usr/bin/tool"),
        ("bin/tool", "usr/bin/tool"),
        ("absolute", "usr/bin/tool"),
        ("climbing", "usr/bin/tool"),
        ("/usr/../usr/./bin/tool", "usr/bin/tool"),
        ("round", None),
        ("outside", None),
        ("usr/bin/missing", None),
        ("", ""),
    ],
)
def test_links_lead_where_they_lead_inside(path: str, expected: str | None, tmp_path: Path) -> None:
    """Absolute links start at the image's root, `..` ends there, and circles end."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/tool").touch()
    for name, target in {
        "bin": "usr/bin",
        "absolute": "/bin/tool",
        "climbing": "../../../bin/tool",
        "round": "round",
        "outside": "/etc/passwd",
    }.items():
        (tmp_path / name).symlink_to(target)
    assert inside(tmp_path, path) == expected
