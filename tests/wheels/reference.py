"""What the `installer` package makes of a wheel, to compare layers with."""

from __future__ import annotations

import csv
import posixpath
import re
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from shipml.oci.image import Layer
from tests.wheels.making import Unpacked, files

__all__ = ["Installed", "assert_same", "install_with_reference"]

PREFIX = "/opt/venv"


@dataclass(frozen=True)
class Installed:
    """One file that was installed."""

    executable: bool
    data: bytes


def install_with_reference(wheel: Path, root: Path, *, name: str, python: str) -> dict[str, Installed]:
    """Install a wheel below `root` with `installer`; its files by path relative to `root`."""
    site = f"{PREFIX}/lib/python{python}/site-packages"
    schemes = {
        "purelib": site,
        "platlib": site,
        "scripts": f"{PREFIX}/bin",
        "data": PREFIX,
        "headers": f"{PREFIX}/include/site/python{python}/{name}",
    }
    destination = SchemeDictionaryDestination(schemes, f"{PREFIX}/bin/python", "posix", destdir=str(root))
    with warnings.catch_warnings(), WheelFile.open(wheel) as source:
        warnings.simplefilter("ignore")  # it says that it skips bytecode, as we do
        source.validate_record()
        install(source, destination, {"INSTALLER": b"shipml\n"})
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(root))] = Installed(bool(path.stat().st_mode & stat.S_IXUSR), path.read_bytes())
    return found


def assert_same(layer: Layer, expected: dict[str, Installed]) -> None:
    """The layer has exactly the expected files with their content and modes, but for what shipml does on purpose.

    Differences: bytecode comes on top; all scripts are executable; programs of entry points are written shorter, so
    that only what they import and call is compared; RECORD is compared by its rows.
    """
    found = files(layer)
    compiled = {path for path in found if path.endswith(".pyc")}
    assert found.keys() - compiled == expected.keys()
    record = next(path for path in found if re.search(r"site-packages/[^/]+\.dist-info/RECORD$", path))
    programs = {path for path in expected if _is_program(expected[path].data)}
    for path, reference in expected.items():
        entry = found[path]
        in_bin = path.startswith("opt/venv/bin/")
        assert entry.mode == (0o755 if in_bin or reference.executable else 0o644), path
        if path in programs:
            assert _called(entry.data) == _called(reference.data), path
        elif path != record:
            assert entry.data == reference.data, path
    site = record.rpartition("/")[0].rpartition("/")[0]
    _assert_same_record(found[record], expected[record].data, compiled, programs, site)


def _is_program(data: bytes) -> bool:
    return b"sys.argv[0] = re.sub(" in data and data.startswith(b"#!/opt/venv/bin/python\n# -*- coding: utf-8 -*-\n")


def _called(program: bytes) -> list[str]:
    return re.findall(r"^(?:from .*|#!.*| *sys\.exit\(.*)$", program.decode(), re.MULTILINE)


def _rows(data: bytes) -> dict[str, tuple[str, str]]:
    # `installer` writes "./a" for files that come from the other library scheme.
    return {posixpath.normpath(path): (hash_, size) for path, hash_, size in csv.reader(data.decode().splitlines())}


def _assert_same_record(found: Unpacked, expected: bytes, compiled: set[str], programs: set[str], site: str) -> None:
    rows, reference = _rows(found.data), _rows(expected)
    bytecode = {path.removeprefix(f"{site}/") for path in compiled}
    assert all(rows.pop(path) == ("", "") for path in bytecode)
    assert rows.keys() == reference.keys()
    shorter = {"../../../" + path.removeprefix("opt/venv/") for path in programs}
    assert {path: row for path, row in rows.items() if path not in shorter} == {
        path: row for path, row in reference.items() if path not in shorter
    }
