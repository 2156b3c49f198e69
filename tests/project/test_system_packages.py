"""Debian packages that files of other hosts name."""

from __future__ import annotations

from pathlib import Path

from shipml.facts.project import SystemPackage
from shipml.project.system_packages import read_system_packages


def test_each_package_is_read_once_with_its_place(tmp_path: Path) -> None:
    """Comments go, names of old releases become today's, what only builds is left out and said."""
    (tmp_path / "apt.txt").write_text("ffmpeg # for audio\nlibgl1-mesa-glx libsm6\n\n")
    (tmp_path / "packages.txt").write_text("ffmpeg\nbuild-essential\nlibsndfile1-dev\n")
    found = read_system_packages(tmp_path)
    assert [(one.name, one.source, one.written) for one in found if not one.left_out] == [
        ("ffmpeg", "apt.txt:1", ""),
        ("libgl1", "apt.txt:2", "libgl1-mesa-glx"),
        ("libsm6", "apt.txt:2", ""),
    ]
    assert [one.name for one in found if one.left_out] == ["build-essential", "libsndfile1-dev"]


def test_what_names_no_package_is_left_out(tmp_path: Path) -> None:
    """Addresses of .deb files, versions of pip."""
    (tmp_path / "Aptfile").write_text("https://example.org/x.deb\nnumpy==1.2\nlibpq5\n")
    found = read_system_packages(tmp_path)
    assert [one.name for one in found if not one.left_out] == ["libpq5"]
    assert found[0] == SystemPackage(
        "https://example.org/x.deb", "Aptfile:1", left_out="it is not the name of a package"
    )


def test_requirements_of_pip_in_the_wrong_file_are_ignored(tmp_path: Path) -> None:
    """Somebody copied them."""
    (tmp_path / "packages.txt").write_text("streamlit==1.2\npandas>=1\nnumpy\n")
    assert read_system_packages(tmp_path) == ()
