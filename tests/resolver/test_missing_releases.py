"""Releases that are gone, or never were, with the real uv and an index of our own."""

from __future__ import annotations

import pytest

from shipml.errors import ResolutionError
from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving

OLD_BINARY = "cp38-cp38-manylinux_2_17_x86_64"


@pytest.mark.parametrize(
    ("asked", "there", "taken"),
    [
        ("tensors==2.0.0b1", ("1.9", "2.0.0", "2.1.0", "3.0"), "2.0.0"),
        ("tensors==4.2.0.32", ("4.2.0.30", "4.2.0.34", "4.5"), "4.2.0.34"),
        ("tensors==4.2.9", ("4.2.0", "4.5"), "4.2.0"),
        ("tensors==0.4.1", ("0.1", "1.4.0", "2.5.0"), "1.4.0"),
        ("tensors==1.2", ("1.1", "1.5", "2.0"), "1.5"),
        ("tensors==2.3.0", ("3.0.0", "3.6"), "3.0.0"),
        ("tensors===1.5.0-unsupported", ("1.4.9", "1.5.1"), "1.5.1"),
        ("tensors==1.5d", ("1.4", "1.5"), "1.5"),
    ],
)
def test_the_nearest_release_that_can_stand_for_it_is_taken(
    asked: str, there: tuple[str, ...], taken: str, index: PackageIndex, resolving: Resolving
) -> None:
    """Of the same series, else the next one with the same API; it is said, as a change that --strict refuses."""
    for version in there:
        index.add("tensors", version)
    _, lock = resolving(f"{asked}\n")
    assert [wheel.version for wheel in lock.wheels] == [taken]
    assert any(f"tensors=={taken}" in notice for notice in resolving.notices) or asked == "tensors==1.5d"


def test_the_next_release_may_be_for_an_older_python(index: PackageIndex, resolving: Resolving) -> None:
    """The newest Python's first release of it is years away."""
    index.add("tensors", "1.4.0", OLD_BINARY)
    index.add("tensors", "1.9.0", "cp313-cp313-manylinux_2_17_x86_64")
    candidate, lock = resolving("tensors==0.4.1\n")
    assert (candidate.suite.python, lock.wheels[0].version) == ("3.8", "1.4.0")


@pytest.mark.parametrize("there", ["1.9", "4.0"])
def test_another_api_is_nobodys_stand_in(there: str, index: PackageIndex, resolving: Resolving) -> None:
    """An older release of another series, or one two major versions away, is named and not taken."""
    index.add("tensors", there)
    with pytest.raises(ResolutionError) as caught:
        resolving("tensors==2.1\n")
    assert f"tensors=={there}" in caught.value.hint


def test_what_a_package_pins_is_overridden(index: PackageIndex, resolving: Resolving) -> None:
    """A constraint could only add to it; the error otherwise accuses the package, not the project's line."""
    index.add("frame", "1.0", requires=["views==4.2.0.32"], uploaded="2020-01-01")
    index.add("views", "4.2.0.34", uploaded="2020-04-01")
    index.add("views", "4.9", uploaded="2023-04-01")
    _, lock = resolving("frame==1.0\n")
    assert {wheel.name: wheel.version for wheel in lock.wheels} == {"frame": "1.0", "views": "4.2.0.34"}
    (change,) = lock.changes
    assert (change.kind, change.value) == ("version", "views==4.2.0.32 → views==4.2.0.34")


def test_what_a_package_pins_may_have_wheels_for_the_past_alone(index: PackageIndex, resolving: Resolving) -> None:
    """The next release that has one for a Python of today is taken in its place, and that is a change."""
    index.add("frame", "1.0", requires=["views==2.0.0"], uploaded="2020-01-01")
    index.add("views", "2.0.0", "cp37-cp37m-manylinux2010_x86_64", uploaded="2019-10-01")
    index.add("views", "2.2.0", OLD_BINARY, uploaded="2020-05-01")
    candidate, lock = resolving("frame==1.0\n")
    assert {wheel.name: wheel.version for wheel in lock.wheels} == {"frame": "1.0", "views": "2.2.0"}
    assert candidate.suite.python == "3.8"
    assert [change.value for change in lock.changes] == ["views==2.0.0 → views==2.2.0"]
