"""Trained models as evidence: their versions are taken where the project leaves them open, held against its pins."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving


def put_model(folder: Path, version: str, name: str = "model.pkl") -> None:
    """A pickle that says which scikit-learn made it."""
    (folder / name).write_bytes(pickle.dumps({"_sklearn_version": version}, protocol=4))


@pytest.fixture
def learn(index: PackageIndex) -> PackageIndex:
    """Three releases of scikit-learn, the middle one without wheel for the newest Python."""
    index.add("scikit-learn", "1.0.2", "cp39-cp39-manylinux_2_17_x86_64", uploaded="2021-12-25")
    index.add("scikit-learn", "1.2.2", "cp311-cp311-manylinux_2_17_x86_64", uploaded="2023-03-09")
    index.add("scikit-learn", "1.7.2", uploaded="2025-09-09")
    return index


def test_the_version_that_made_the_model_is_taken(learn: PackageIndex, resolving: Resolving, folder: Path) -> None:
    """Where the requirements leave it open, with the Python and the date that go with it."""
    assert learn.requests == []
    put_model(folder, "1.2.2")
    candidate, lock = resolving("scikit-learn\n")
    assert [wheel.version for wheel in lock.wheels] == ["1.2.2"]
    assert candidate.suite.python == "3.11"
    assert (lock.decisions[0].value, lock.decisions[0].because) == ("scikit-learn==1.2.2", "model.pkl was made with it")


def test_a_pin_against_the_model_is_kept_with_a_warning(
    learn: PackageIndex, resolving: Resolving, folder: Path
) -> None:
    """The project's word counts, and what will break is said; a patch release is no contradiction."""
    assert learn.requests == []
    put_model(folder, "1.2.2")
    _, lock = resolving("scikit-learn==1.0.2\n")
    assert [wheel.version for wheel in lock.wheels] == ["1.0.2"]
    assert lock.decisions[0].value == "model.pkl was made with scikit-learn 1.2.2"
    assert (
        "requirements.txt:1 pins scikit-learn==1.0.2: an older release often cannot load" in lock.decisions[0].because
    )
    put_model(folder, "1.0.1")
    assert all(one.what != "model file" for one in resolving()[1].decisions)


def test_a_version_that_nothing_fits_gives_way_to_the_next(
    learn: PackageIndex, resolving: Resolving, folder: Path
) -> None:
    """A model of a release without wheels gets the nearest newer one, and that is said."""
    assert learn.requests == []
    put_model(folder, "0.20.1")
    _, lock = resolving("scikit-learn\n")
    assert [wheel.version for wheel in lock.wheels] == ["1.0.2"]
    assert "model.pkl was made with 0.20.1, which nothing fits" in lock.decisions[0].because


def test_what_a_model_needs_is_added(learn: PackageIndex, resolving: Resolving, folder: Path) -> None:
    """A model cannot be loaded without the package that made it, though no code imports that."""
    learn.add("joblib", "1.0", uploaded="2023-01-01")
    put_model(folder, "1.7.2")
    _, lock = resolving("joblib\n")
    assert [wheel.name for wheel in lock.wheels] == ["joblib", "scikit-learn"]
    assert [one.value for one in lock.changes] == ["scikit-learn==1.7.2 added"]


def test_keras_2_is_kept_for_its_models(index: PackageIndex, resolving: Resolving, folder: Path) -> None:
    """TensorFlow stays below the release that brings Keras 3."""
    index.add("tensorflow", "2.15.0")
    index.add("tensorflow", "2.16.1")
    (folder / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\nkeras_version\x00" + bytes(24) + b"2.9.0\x0c" + bytes(90))
    _, lock = resolving("tensorflow\n")
    assert [wheel.version for wheel in lock.wheels] == ["2.15.0"]
    assert lock.decisions[0].value == "tensorflow<2.16"
