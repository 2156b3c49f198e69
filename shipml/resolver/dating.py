"""As of when packages are taken: today's, or those of the time at which the project's pins were new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from shipml.facts.releases import Pin, Survey, cutoff

__all__ = ["OLD_PINS", "Dating", "datings"]

OLD_PINS = timedelta(days=365)
"""Where the newest pin is older than this, packages that are not pinned are taken as they were then."""


@dataclass(frozen=True, slots=True)
class Dating:
    """One way to look at the index."""

    as_of: datetime | None
    """None: as it is today."""
    because: str
    """A clause without full stop."""

    @property
    def words(self) -> str:
        """For a list of attempts."""
        return "today's index" if self.as_of is None else f"the index as of {self.as_of:%Y-%m-%d}"


def datings(
    survey: Survey, *, now: datetime, committed_at: datetime | None, fixed: bool, past_first: bool = False
) -> tuple[Dating, ...]:
    """The ways in which the index is asked, in this order.

    A range with an upper end (`numpy<2`) in a project that is still worked on may be a repair of today: then today's
    index comes first.

    Args:
        survey: what there is of the pins.
        now: the present.
        committed_at: when the project was last changed, as git says.
        fixed: whether the user has told uv a date: then nobody else decides.
        past_first: whether those of the last commit's day are known to be needed.
    """
    today = Dating(None, "")
    if fixed:
        return (today,)
    past = list(_past(survey, now, committed_at))
    if past_first:
        return (*reversed(past), today)  # the last commit's day is the later one
    newest = survey.newest_upload
    is_tended = committed_at is not None and now - committed_at <= OLD_PINS
    if newest is not None and now - newest[1] > OLD_PINS and not (is_tended and not survey.has_dated_pins):
        return (*past, today)
    return (today, *past)


def _past(survey: Survey, now: datetime, committed_at: datetime | None) -> Iterator[Dating]:
    newest = survey.newest_upload
    if newest is not None:
        pin, uploaded_at = newest
        day = cutoff(uploaded_at)
        if day < now:
            yield Dating(day, f"{_named(pin, survey)} came out on {uploaded_at:%Y-%m-%d}")
    if committed_at is not None and now - committed_at > OLD_PINS:
        day = cutoff(committed_at)
        if newest is None or day > cutoff(newest[1]):
            yield Dating(day, f"the project was last changed on {committed_at:%Y-%m-%d}")


def _named(pin: Pin, survey: Survey) -> str:
    """What says the date."""
    if any(pin is one for one, _ in survey.floors):
        return f"the oldest {pin.name} that {pin.source} allows, {pin},"
    if any(pin is one for one, _ in survey.ceilings):
        return f"the newest {pin.name} that {pin.source} allows, {pin},"
    return f"the newest pin, {pin} ({pin.source}),"
