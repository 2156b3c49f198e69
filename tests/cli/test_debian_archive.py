"""The command line with an archive of Debian packages that changes, lags behind or hides updates."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from tests.cli.conftest import Run
from tests.debian.making import Archive, Package, elf_bytes, entry, serve
from tests.package_index import serve_index

Plan = Callable[..., "subprocess.CompletedProcess[str]"]
CONTENTS = "usr/lib/x86_64-linux-gnu/libdraw.so.2 libs/libdraw2\n"
LIBRARY = Package("libdraw2", entries=[entry("./usr/lib/x86_64-linux-gnu/libdraw.so.2", elf_bytes("libdraw.so.2"))])


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive with its own key."""
    key = pysequoia.Tsk.generate("Archive <archive@example.org>")
    (tmp_path / "archive.gpg").write_bytes(bytes(key.extract_certificate()))
    root = tmp_path / "mirror"
    root.mkdir()
    return Archive(root, key)


@pytest.fixture
def plan(shipml: Run, archive: Archive, tmp_path: Path) -> Any:
    """`shipml plan` of a project whose one wheel needs libdraw.so.2, with the archive as mirror."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "requirements.txt").write_text("native==1.0\n")
    (folder / "app.py").write_text("import native\nprint(native.version)\n")
    with serve_index() as index, serve(archive.root) as mirror:
        tag = "py3-none-manylinux_2_17_x86_64"
        index.add("native", "1.0", tag, files={"native_code.so": elf_bytes("", ["libdraw.so.2"])})
        environment = {
            "UV_DEFAULT_INDEX": index.url,
            "SHIPML_DEBIAN_MIRROR": f"{mirror.url}/debian",
            "SHIPML_DEBIAN_KEYRING": str(tmp_path / "archive.gpg"),
        }
        yield lambda *words: shipml("plan", "--base", "debian:bookworm", *words, cwd=folder, env=environment)


@pytest.mark.parametrize("served", ["signed", "of another day", "none"])
def test_a_library_is_found_whatever_the_mirror_has_of_its_index(plan: Plan, archive: Archive, served: str) -> None:
    """The package with the library is planned, with or without an index that fits the release."""
    archive.publish_suite([LIBRARY], contents="" if served == "none" else CONTENTS)
    if served == "of another day":
        archive.spoil_contents()
    done = plan("--json")
    assert done.returncode == 0, done.stderr
    packages = json.loads(done.stdout)["base"]["extra_packages"]
    assert [package["name"] for package in packages] == ["libdraw2"]
    assert "libdraw.so.2" in packages[0]["because"]


def test_package_lists_in_the_middle_of_an_update_can_be_tried_again(plan: Plan, archive: Archive) -> None:
    """Exit code 75: the same command may work later."""
    archive.publish_suite([LIBRARY], contents=CONTENTS, cut_bytes=20)
    done = plan("--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (75, "try-again")


def test_an_older_archive_is_refused_unless_told(plan: Plan, archive: Archive) -> None:
    """A mirror that goes back in time ends the build; --allow-older accepts it."""
    archive.publish_suite([LIBRARY], contents=CONTENTS)
    assert plan().returncode == 0
    archive.date -= dt.timedelta(days=400)
    archive.publish_suite([LIBRARY], contents=CONTENTS)
    refused = plan("--upgrade", "--json")
    assert refused.returncode == 75
    assert "--allow-older" in json.loads(refused.stdout)["error"]["hint"]
    assert plan("--upgrade", "--allow-older").returncode == 0
