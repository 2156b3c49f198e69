"""Which mirror is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.debian.mirror import Mirror, find_mirror
from shipml.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHIPML_DEBIAN_MIRROR", raising=False)
    monkeypatch.delenv("SHIPML_DEBIAN_SECURITY_MIRROR", raising=False)


def _apt(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        path = folder / ("sources.list" if name == "main" else f"sources.list.d/{name.replace('_', '.')}")
        path.write_text(text)
    return folder


def test_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable names the mirror; the security archive is its sibling."""
    monkeypatch.setenv("SHIPML_DEBIAN_MIRROR", "https://mirror.example.org/debian/")
    apt = _apt(tmp_path, main="deb http://other.example.org/debian bookworm main\n")
    assert find_mirror(apt) == Mirror("https://mirror.example.org/debian", "https://mirror.example.org/debian-security")


def test_security_mirror_can_stand_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own variable names the security archive."""
    monkeypatch.setenv("SHIPML_DEBIAN_SECURITY_MIRROR", "https://safe.example.org/ds")
    assert find_mirror(tmp_path).security == "https://safe.example.org/ds"


def test_one_line_sources_of_apt_are_read(tmp_path: Path) -> None:
    """A mirror of Debian is taken, options, comments, vendors and sources of source code aside."""
    apt = _apt(
        tmp_path,
        vendor_list="deb [arch=amd64] https://vendor.example.org/apt stable main\n",
        zz_list="# deb http://old.example.org/debian bookworm main\n"
        "deb-src http://src.example.org/debian bookworm main\n"
        "deb [signed-by=/x arch=amd64] http://m.example.org/debian/ bookworm main\n"
        "deb http://s.example.org/debian-security bookworm-security main\n",
    )
    assert find_mirror(apt) == Mirror("http://m.example.org/debian", "http://s.example.org/debian-security")


def test_deb822_sources_of_apt_are_read(tmp_path: Path) -> None:
    """The newer format of apt's sources counts as well; what is disabled does not."""
    apt = _apt(
        tmp_path,
        debian_sources="Enabled: no\nTypes: deb\nURIs: http://off.example.org/debian\n\n# x\nTypes: deb deb-src\n"
        "URIs:\n http://m.example.org/debian\n# comment\nSuites: bookworm\n",
    )
    assert find_mirror(apt) == Mirror("http://m.example.org/debian", "http://m.example.org/debian-security")


def test_mirror_lists_are_followed(tmp_path: Path) -> None:
    """`mirror+file:` leads to the first mirror of the list."""
    (tmp_path / "list").write_text("# mine\nhttps://m.example.org/debian priority:1\nhttps://n.example.org/debian\n")
    apt = _apt(tmp_path / "apt", main=f"deb mirror+file:{tmp_path}/list bookworm main\n")
    assert find_mirror(apt).debian == "https://m.example.org/debian"


def test_other_systems_get_debians_alias(tmp_path: Path) -> None:
    """Without apt, or with Ubuntu's, Debian's own alias serves."""
    apt = _apt(tmp_path, main="deb http://u.example.org/ubuntu noble main\ndeb cdrom:[x]/debian x main\n")
    assert find_mirror(apt) == find_mirror(tmp_path / "none")
    assert find_mirror(apt).debian.endswith("/debian")


def test_variable_without_url_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name alone is answered with what the variable must hold."""
    monkeypatch.setenv("SHIPML_DEBIAN_MIRROR", "mirror.example.org")
    with pytest.raises(ConfigurationError, match="SHIPML_DEBIAN_MIRROR"):
        find_mirror(tmp_path)
