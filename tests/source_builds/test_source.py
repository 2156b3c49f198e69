"""What a source says of its build, without running it."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shipml.errors import UntrustedInputError
from shipml.facts.plan import LockedSource
from shipml.source_builds.source import SourceFacts, distribution_of, read_source
from tests.source_builds.conftest import MakeSource


def facts(source: LockedSource) -> SourceFacts:
    return read_source(Path(urlsplit(source.url).path), source.filename)


def test_a_backend_and_its_requirements_are_read(make_source: MakeSource) -> None:
    """pyproject.toml's [build-system] is all that counts where it names a backend (PEP 517, 518)."""
    text = '[build-system]\nrequires = ["flit_core>=3"]\nbuild-backend = "flit_core.buildapi"\nbackend-path = ["."]\n'
    found = facts(make_source("a", "1", {"pyproject.toml": text, "setup.py": "import numpy\n", "a.py": ""}))
    assert (found.requires, found.backend, found.backend_path) == (("flit_core>=3",), "flit_core.buildapi", (".",))
    assert not found.is_native


def test_what_setup_py_cannot_do_without_is_required(make_source: MakeSource) -> None:
    """Imports of third parties at its top, but none in a `try`, none of the standard library and none of its own."""
    setup = (
        "import os, versioneer, deeper, _private\nfrom own.version import v\n"
        "import numpy as np\nfrom sklearn import x\n"
        "try:\n    import Cython\nexcept ImportError:\n    pass\n"
        "def f():\n    import scipy\n"
        "import distutils.core, pkg_resources\nfrom setuptools import setup\n"
    )
    found = facts(
        make_source("a", "1", {"setup.py": setup, "versioneer.py": "", "own/version.py": "v = 1", "lib/deeper.py": ""})
    )
    assert found.requires == ("setuptools", "wheel", "numpy", "scikit-learn")
    assert found.backend == ""


@pytest.mark.parametrize("setup", ["print 'Python 2'\n", "x = (" * 3, "\0"])
def test_a_setup_py_that_is_not_understood_asks_for_nothing(make_source: MakeSource, setup: str) -> None:
    """It is for the sandbox to say what is wrong with it."""
    assert facts(make_source("a", "1", {"setup.py": setup})).requires == ("setuptools", "wheel")


@pytest.mark.parametrize("file", ["src/x.c", "x.pyx", "deep/er/x.f90", "x.cpp"])
def test_what_must_be_compiled_is_seen(make_source: MakeSource, file: str) -> None:
    """By the files: only then compilers are needed."""
    assert facts(make_source("a", "1", {"setup.py": "", file: "x"})).is_native


def test_rust_is_seen(make_source: MakeSource) -> None:
    """By its Cargo.toml, wherever that lies."""
    assert facts(make_source("a", "1", {"setup.py": "", "rust/Cargo.toml": "x"})).needs_rust


def test_zip_archives_are_read(tmp_path: Path) -> None:
    """Old releases are zip files."""
    with zipfile.ZipFile(tmp_path / "a-1.zip", "w") as made:
        made.writestr("a-1/setup.py", "import numpy")
        made.writestr("a-1/a.pyx", "")
    found = read_source(tmp_path / "a-1.zip", "a-1.zip")
    assert (found.requires, found.is_native) == (("setuptools", "wheel", "numpy"), True)


def test_without_a_word_on_building_it_is_refused(make_source: MakeSource) -> None:
    """Neither pyproject.toml nor setup.py: nothing can build that."""
    with pytest.raises(UntrustedInputError, match="it cannot be built"):
        facts(make_source("a", "1", {"a.py": ""}))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A text under an archive's name."""
    (tmp_path / "a-1.tar.gz").write_text("no")
    with pytest.raises(UntrustedInputError):
        read_source(tmp_path / "a-1.tar.gz", "a-1.tar.gz")


@pytest.mark.parametrize("ending", ["tar.xz", "zip"])
def test_an_archive_that_breaks_in_the_middle_is_refused(tmp_path: Path, ending: str) -> None:
    """Each way of packing has an error of its own for that."""
    path = tmp_path / f"a-1.{ending}"
    text = random.Random(1).randbytes(50_000)  # noqa: S311  (nothing is secret here)
    if ending == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
            packed.writestr("a-1/setup.py", text)
    else:
        with tarfile.open(path, "w:xz") as made:
            member = tarfile.TarInfo("a-1/setup.py")
            member.size = len(text)
            made.addfile(member, io.BytesIO(text))
    data = path.read_bytes()
    path.write_bytes(data[:20_000] + b"\xff" * 10_000 + data[30_000:])
    with pytest.raises(UntrustedInputError):
        read_source(path, path.name)


@pytest.mark.parametrize(
    ("module", "distribution"),
    [("sklearn.base", "scikit-learn"), ("Cython.Build", "Cython"), ("cv2", "opencv-python-headless"), ("a_b", "a-b")],
)
def test_a_module_s_distribution_is_known_or_has_its_name(module: str, distribution: str) -> None:
    """As imports are mended elsewhere."""
    assert distribution_of(module) == distribution
