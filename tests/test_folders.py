"""Folders deeper than Python's stack and longer than a path may be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from shipml.folders import remove_tree, walk_files
from shipml.store import Store

DEEP = sys.getrecursionlimit() + 200


def _dig(folder: Path, depth: int) -> None:
    """Folders in folders, with a file in the deepest and every hundredth; each made from the one above it."""
    folder.mkdir(parents=True)
    here = os.open(folder, os.O_RDONLY)
    for number in range(depth):
        os.mkdir("folder", dir_fd=here)
        inner = os.open("folder", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
        if number % 100 == 0 or number == depth - 1:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.chmod(".", 0o500, dir_fd=here)
    os.close(here)


def test_a_deep_folder_is_removed(tmp_path: Path) -> None:
    """A tree deeper than the stack and than a path may be long goes, links in it are not followed."""
    kept = tmp_path / "kept.txt"
    kept.touch()
    _dig(tmp_path / "deep", DEEP)
    (tmp_path / "deep" / "link").symlink_to(tmp_path)
    (tmp_path / "deep" / ".removed-1").mkdir()
    remove_tree(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == [kept]


def test_a_deep_folder_is_walked(tmp_path: Path) -> None:
    """As many files are found as have a path that can be named, without an error."""
    _dig(tmp_path / "deep", DEEP)
    found = len(list(walk_files(tmp_path)))
    remove_tree(tmp_path / "deep")  # pytest cannot
    assert 1 < found < DEEP / 100 + 2


@pytest.mark.parametrize("place", ["tmp/left", "uv/archive-v0/hostile", "roots/layer-x"])
def test_the_store_opens_and_is_pruned_whatever_lies_in_it(tmp_path: Path, place: str) -> None:
    """A deep tree that a killed process or uv left does not stop the store, and goes with the rest."""
    Store(tmp_path).close()
    _dig(tmp_path / place, DEEP)
    store = Store(tmp_path)
    store.info(verify=True)
    store.prune(all=True)
    store.close()
    assert not (tmp_path / place).exists()
