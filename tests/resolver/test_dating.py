"""As of when packages are taken, and what counts as a break, decided on values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shipml.facts.releases import Pin, Release, Survey
from shipml.resolver.compatibility import (
    Resolved,
    built_for_numpy_1,
    doubts,
    is_near,
    is_newer_series,
    upper_bound,
)
from shipml.resolver.dating import datings

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def survey(*uploads: datetime) -> Survey:
    """Pins that were uploaded then."""
    pins = tuple(Pin(f"p{number}", "1.0", f"requirements.txt:{number}") for number, _ in enumerate(uploads))
    releases = {pin.name: Release(pin.name, "1.0", time, ()) for pin, time in zip(pins, uploads, strict=True)}
    return Survey(pins, releases)


OLD, NEW = datetime(2021, 12, 25, 13, tzinfo=UTC), NOW - timedelta(days=30)


@pytest.mark.parametrize(
    ("pins", "committed_at", "expected"),
    [
        ((), None, [""]),
        ((OLD,), None, ["2021-12-26", ""]),
        ((OLD, NEW), None, ["", "2026-10-24"]),
        ((), OLD, ["", "2021-12-26"]),
        ((OLD,), datetime(2023, 1, 1, tzinfo=UTC), ["2021-12-26", "2023-01-02", ""]),
        ((), NEW, [""]),
    ],
)
def test_old_pins_come_before_today(
    pins: tuple[datetime, ...], committed_at: datetime | None, expected: list[str]
) -> None:
    """Today's index is last where all pins are old, first elsewhere; the commit's date is a later attempt."""
    found = datings(survey(*pins), now=NOW, committed_at=committed_at, fixed=False)
    assert ["" if one.as_of is None else f"{one.as_of:%Y-%m-%d}" for one in found] == expected


@pytest.mark.parametrize(
    ("committed_at", "expected"),
    [(None, ["2021-12-26", ""]), (NEW, ["", "2021-12-26"]), (OLD, ["2021-12-26", ""])],
)
def test_a_range_dates_what_nobody_works_on(committed_at: datetime | None, expected: list[str]) -> None:
    """An upper end counts as a pin does, but not against a project that was changed this year."""
    ranged = Survey(ceilings=((Pin("p", "1.9", "requirements.txt:1"), OLD),))
    found = datings(ranged, now=NOW, committed_at=committed_at, fixed=False)
    assert ["" if one.as_of is None else f"{one.as_of:%Y-%m-%d}" for one in found] == expected


def test_a_date_that_was_set_leaves_one_way() -> None:
    """Whoever tells uv a date has decided."""
    assert len(datings(survey(OLD), now=NOW, committed_at=OLD, fixed=True)) == 1


def test_files_that_were_added_years_later_do_not_make_a_release_younger() -> None:
    """Wheels for a later Python are no new release."""
    release = Release.of_files("p", "1", [OLD, OLD + timedelta(days=2), NEW], (), has_source=False)
    assert release.uploaded_at == OLD + timedelta(days=2)


@pytest.mark.parametrize(
    ("version", "than", "newer", "near"),
    [
        ("3.0.1", "2.3.0", True, False),
        ("2.9", "2.1", False, True),
        ("1.0", "0.9", True, True),
        ("0.9", "0.8", False, True),
        ("25.1", "21.4", False, False),
        ("2026.1", "2021.3", False, False),
        ("1!2.0", "1!1.0", True, False),
    ],
)
def test_a_larger_first_number_is_a_break(version: str, than: str, *, newer: bool, near: bool) -> None:
    """Unless it counts years; a 1 may stand for a 0."""
    assert is_newer_series(version, than) is newer
    assert is_near(version, than) is near


def test_the_bound_is_the_next_major_version() -> None:
    """`<3` holds back 3 and later."""
    assert upper_bound("2.1.4") == "3"


def test_the_oldest_pinned_parent_counts() -> None:
    """What is asked for by nobody pinned, or is no newer, raises no doubt."""
    parent = Resolved("parent", "1.0", OLD, compiled=False, pinned=True)
    other = Resolved("other", "1.0", NEW, compiled=False, pinned=True)
    child = Resolved("child", "3.0", NEW, compiled=False, pinned=False)
    found = doubts([parent, other, child], {"child": ["other", "parent"]})
    assert [(one.parent.name, one.at) for one in found] == [("parent", OLD)]
    assert doubts([parent, child], {"child": []}) == ()
    assert doubts([other, child], {"child": ["other"]}) == ()


def test_a_pinned_numpy_is_the_projects_own_word() -> None:
    """It is not held back; an unpinned one is, where old extension modules need it."""
    binary = Resolved("binary", "1.0", OLD, compiled=True, pinned=False)
    for pinned in (True, False):
        numpy = Resolved("numpy", "2.1.0", NEW, compiled=True, pinned=pinned)
        assert (built_for_numpy_1([binary, numpy], {"numpy": ["binary"]}) is None) is pinned
