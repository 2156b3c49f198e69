"""What may come together in one root file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipml.debian.deb import DebMember
from shipml.debian.root_file_system import FolderWriter, RootFileSystem
from shipml.errors import UntrustedInputError


@pytest.fixture
def root(tmp_path: Path) -> RootFileSystem:
    """A root file system in a folder."""
    (tmp_path / "root").mkdir()
    return RootFileSystem(FolderWriter(tmp_path / "root"), "amd64")


def test_members_land_below_the_folder(root: RootFileSystem, tmp_path: Path) -> None:
    """Files, folders, links: as they are, and absolute links lead below the folder."""
    root.add(DebMember("usr/bin/a", "file", 0o755, data=b"a"))
    root.add(DebMember("usr/bin/b", "hardlink", 0o755, "usr/bin/a"))
    root.add(DebMember("etc/c", "symlink", 0o777, "/usr/bin/a"))
    root.add(DebMember("tmp", "directory", 0o1777))
    base = tmp_path / "root"
    assert (base / "usr/bin/a").stat().st_mode & 0o777 == 0o755
    assert (base / "usr/bin/b").samefile(base / "usr/bin/a")
    assert (base / "etc/c").readlink() == Path("../usr/bin/a")
    assert os.access(base / "tmp", os.W_OK)


@pytest.mark.parametrize("target", ["/etc", "../outside", "usr"])
def test_nothing_is_written_through_a_link(root: RootFileSystem, tmp_path: Path, target: str) -> None:
    """A member below a link is refused, wherever the link leads, and nothing is written."""
    (tmp_path / "outside").mkdir()
    root.add(DebMember("link", "symlink", 0o777, target))
    with pytest.raises(UntrustedInputError, match="written through"):
        root.add(DebMember("link/evil", "file", 0o644, data=b"x"))
    assert not list((tmp_path / "outside").iterdir())
    assert not (tmp_path / "root" / "usr").exists()


def test_file_is_no_folder(root: RootFileSystem) -> None:
    """A member below a file is refused."""
    root.add(DebMember("a", "file", 0o644))
    with pytest.raises(UntrustedInputError):
        root.add(DebMember("a/b", "file", 0o644))


def test_same_file_may_come_twice(root: RootFileSystem) -> None:
    """Two packages may bring the same file, folder or link; the second is dropped."""
    for member in (
        DebMember("f", "file", 0o644, data=b"x"),
        DebMember("d", "directory", 0o755),
        DebMember("l", "symlink", 0o777, "f"),
    ):
        root.add(member)
        root.add(member)
    assert root.entries["l"] == "l:f"


@pytest.mark.parametrize(
    "second",
    [
        DebMember("x", "file", 0o644, data=b"2"),
        DebMember("x", "symlink", 0o777, "y"),
        DebMember("x", "directory", 0o755),
    ],
)
def test_different_file_at_one_path_is_refused(root: RootFileSystem, second: DebMember) -> None:
    """Two packages that disagree about a path cannot both be in the image."""
    root.add(DebMember("x", "file", 0o644, data=b"1"))
    with pytest.raises(UntrustedInputError, match="/x"):
        root.add(second)


def test_hard_link_to_nothing_is_refused(root: RootFileSystem) -> None:
    """A hard link needs its file in the same layer."""
    with pytest.raises(UntrustedInputError, match="no file to link to"):
        root.add(DebMember("x", "hardlink", 0o644, "etc/shadow"))


def test_folders_of_the_layer_below_keep_their_mode(tmp_path: Path) -> None:
    """A file in /tmp of an upper layer leaves /tmp as the base has it."""
    (tmp_path / "upper").mkdir()
    upper = RootFileSystem(FolderWriter(tmp_path / "upper"), "amd64", below={"root": "d:700", "old": "f:00"})
    upper.add(DebMember("root/x", "file", 0o644))
    assert (tmp_path / "upper" / "root").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "upper" / "old").exists()
