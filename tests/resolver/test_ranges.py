"""Ranges say as of when, too, with the real uv and upload times of an index."""

from __future__ import annotations

import pytest

from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving


@pytest.fixture
def web(index: PackageIndex) -> PackageIndex:
    """A framework whose dependency has had a breaking release since; it has no bound of its own."""
    for version, day in (("2.1.0", "2022-03-28"), ("2.1.3", "2022-07-13"), ("2.3.3", "2023-08-21")):
        index.add("flask", version, requires=["werkzeug>=2"], uploaded=day)
    for version, day in (("2.1.0", "2022-03-28"), ("2.3.7", "2023-08-14"), ("3.0.0", "2023-09-30")):
        index.add("werkzeug", version, uploaded=day)
    return index


@pytest.mark.parametrize("asked", ["flask==2.1.*", "flask~=2.1.0", "flask<2.2", "flask>=2.1,<2.2", "flask<=2.1.3"])
def test_a_range_with_an_upper_end_dates_as_a_pin_does(asked: str, web: PackageIndex, resolving: Resolving) -> None:
    """What is left open is as of the day after the newest release within the range."""
    _, lock = resolving(f"{asked}\n")
    assert {one.name: one.version for one in lock.wheels} == {"flask": "2.1.3", "werkzeug": "2.1.0"}
    assert (lock.decisions[0].kind, lock.decisions[0].value) == ("index", "as of 2022-07-14")


@pytest.mark.parametrize("asked", ["flask>=2.1", "flask!=2.1.0", "flask<3", "flask"])
def test_a_range_that_leaves_nothing_newer_out_is_of_today(asked: str, web: PackageIndex, resolving: Resolving) -> None:
    """Nothing is dated, and nobody is asked twice."""
    _, lock = resolving(f"{asked}\n")
    assert {one.name: one.version for one in lock.wheels} == {"flask": "2.3.3", "werkzeug": "3.0.0"}
    assert lock.decisions == ()


def test_the_newest_of_several_ranges_counts(web: PackageIndex, resolving: Resolving) -> None:
    """All of them were there then; a name that the index lacks is left to uv's own words."""
    for version, day in (("1.0", "2022-10-01"), ("2.0", "2024-01-01")):
        web.add("frame", version, uploaded=day)
    _, lock = resolving("flask~=2.1.0\nframe<2\n")
    assert lock.decisions[0].value == "as of 2022-10-02"


def test_pins_say_more_than_ranges(web: PackageIndex, resolving: Resolving) -> None:
    """An upper end that lies years later does not move the pins' day."""
    web.add("old", "1.0", uploaded="2022-04-01")
    web.add("frame", "1.0", uploaded="2021-01-01")
    web.add("frame", "1.9", uploaded="2024-01-01")
    web.add("frame", "2.0", uploaded="2024-02-01")
    _, lock = resolving("old==1.0\nflask\nframe<2\n")
    assert {one.name: one.version for one in lock.wheels}["frame"] == "1.0"
    assert lock.decisions[0].value == "as of 2022-04-02"
