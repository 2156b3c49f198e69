"""What is asked for by name does not become a release of years before, with the real uv and an index's upload times."""

from __future__ import annotations

import pytest

from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving

OLD_BINARY = "cp39-cp39-manylinux_2_17_x86_64"


@pytest.fixture
def screens(index: PackageIndex) -> PackageIndex:
    """A package whose newer releases need one that has only source."""
    index.add("screen", "0.8", uploaded="2019-01-01")
    index.add("screen", "1.20", requires=["watch"], uploaded="2023-02-01")
    index.add("screen", "1.30", requires=["watch"], uploaded="2023-12-01")
    index.add_source("watch", "0.1", uploaded="2021-01-01")
    index.add("anchor", "1.0", uploaded="2024-01-01")
    return index


@pytest.mark.parametrize("asked", ["screen", "screen>=0.7", "screen\nanchor==1.0", "anchor==1.0\nscreen[extra]"])
def test_sources_come_before_a_release_of_years_ago(asked: str, screens: PackageIndex, resolving: Resolving) -> None:
    """The newest is taken with its dependency built, and the attempt before says what lacked a wheel."""
    _, lock = resolving(f"{asked}\n")
    assert {one.name: one.version for one in lock.wheels}["screen"] == "1.30"
    assert [(one.name, one.version) for one in lock.sources] == [("watch", "0.1")]
    assert any(one.kind == "tried" and "watch" in one.because for one in lock.decisions)


def test_what_the_project_itself_holds_back_stays(screens: PackageIndex, resolving: Resolving) -> None:
    """An upper end, and another pin's demand, are the project's own word."""
    screens.add("frame", "1.0", requires=["screen<1"], uploaded="2024-01-01")
    for asked in ("screen<1\n", "screen\nframe==1.0\n"):
        _, lock = resolving(asked)
        assert {one.name: one.version for one in lock.wheels}["screen"] == "0.8"
        assert lock.sources == ()


def test_what_has_had_no_release_for_years_is_the_newest(index: PackageIndex, resolving: Resolving) -> None:
    """Old is not slid back."""
    index.add("docs", "0.6", uploaded="2014-06-16")
    index.add("docs", "0.5", uploaded="2011-06-16")
    _, lock = resolving("docs\n")
    assert lock.wheels[0].version == "0.6"
    assert lock.decisions == ()


def test_debians_python_is_taken_for_a_source_that_anyone_builds(index: PackageIndex, resolving: Resolving) -> None:
    """A pure source sends nobody to a Python from elsewhere; with wheels for that alone it is right."""
    index.add_source("docs", "0.6", uploaded="2021-06-16")
    index.add("lib", "1.0", uploaded="2021-01-01")
    candidate, lock = resolving("docs==0.6\nlib\n")
    assert candidate.suite.name == "bullseye"
    assert [one.value for one in lock.decisions if one.kind == "source"] == ["docs==0.6"]
    index.add("binary", "1.0", "cp38-cp38-manylinux_2_17_x86_64", uploaded="2021-01-01")
    candidate, _ = resolving("docs==0.6\nlib\nbinary==1.0\n")
    assert candidate.suite.python == "3.8"
