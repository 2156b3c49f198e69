"""Twenty-eight wheels of the index, large and small: the layer unpacks to exactly what `installer` installs."""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from shipml import wheels
from shipml.events import ignore
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.session import Session
from shipml.store import Store
from tests.wheels.reference import assert_same, install_with_reference

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(900)]

PYTHON = ".".join(str(part) for part in sys.version_info[:2])
REAL = [
    "cryptography",
    "fastapi",
    "flask",
    "joblib",
    "jupyterlab-pygments",
    "lightgbm",
    "lxml",
    "matplotlib",
    "numpy",
    "pandas",
    "pillow",
    "pip",
    "plotly",
    "protobuf",
    "psutil",
    "pyarrow",
    "pydantic-core",
    "python-dateutil",
    "pytz",
    "pyyaml",
    "requests",
    "ruff",
    "scikit-learn",
    "scipy",
    "setuptools",
    "sympy",
    "tokenizers",
    "uvicorn",
]


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The newest wheel of each project for x86-64 Linux and the running Python, by project."""
    folder = tmp_path_factory.mktemp("wheels")
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28)] + ["manylinux2014_x86_64"]
    options = [option for platform in platforms for option in ("--platform", platform)]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--no-cache-dir"),
            *("--disable-pip-version-check", "--python-version", PYTHON, *options, "-d", str(folder), *REAL),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return {parse_wheel_filename(path.name)[0]: path for path in folder.glob("*.whl")}


@pytest.mark.parametrize("name", REAL)
def test_a_real_wheel_is_what_installer_installs(name: str, downloaded: dict[str, Path], tmp_path: Path) -> None:
    """Same files, contents, modes and RECORD rows as the reference installer, and bytecode for its modules."""
    path = downloaded[name]
    version = str(parse_wheel_filename(path.name)[1])
    locked = LockedWheel(name, version, path.as_uri(), path.stat().st_size, Digest.of_file(path), path.name)
    with contextlib.closing(Store(tmp_path / "home")) as store:
        layer = wheels.layer(
            [locked],
            kind="wheel",
            python=PYTHON,
            interpreter=lambda: wheels.Interpreter((sys.executable,), {}, platform.python_version()),
            python_version=platform.python_version(),
            session=Session(store, HttpClient(), ignore),
        )
        expected = install_with_reference(path, tmp_path / "root", name=name, python=PYTHON)
        assert_same(layer, expected)
    shutil.rmtree(tmp_path)
