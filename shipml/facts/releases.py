"""What an index has of the versions that a project pins: upload times and files, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["MissingPin", "Pin", "Release", "Survey", "cutoff"]

LATE_FILES = timedelta(days=30)
"""Files that are added to a release later than this are not part of its upload: wheels for a Python of later years."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A version that is to be taken, and no other."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    source: str
    """`FILE:LINE`, or the model file that says so."""
    declared: bool = True
    """By the project's requirements; a model file's word is taken where these leave the version open."""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one package."""

    name: str
    version: str
    uploaded_at: datetime | None
    """When its files were there, additions of later months aside; None where the index does not say."""
    wheels: tuple[str, ...]
    """File names (PEP 427)."""
    has_source: bool = False

    @classmethod
    def of_files(
        cls, name: str, version: str, uploads: Iterable[datetime], wheels: Iterable[str], *, has_source: bool
    ) -> Release:
        """The release whose files were uploaded at `uploads`."""
        times = sorted(uploads)
        in_time = [time for time in times if time - times[0] <= LATE_FILES]
        return cls(name, version, in_time[-1] if in_time else None, tuple(wheels), has_source)


@dataclass(frozen=True, slots=True)
class MissingPin:
    """A pin that no index has."""

    pin: Pin
    nearest: tuple[str, ...] = ()
    """Versions that exist, nearest first; () where there is no package of that name."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the indexes have of all pins."""

    pins: tuple[Pin, ...] = ()
    releases: Mapping[str, Release] = field(default_factory=dict)
    """By name."""
    missing: tuple[MissingPin, ...] = ()
    floors: tuple[tuple[Pin, datetime], ...] = ()
    """The oldest releases that requirements without a fixed version allow, and when they were uploaded: the project
    cannot be older than that."""
    ceilings: tuple[tuple[Pin, datetime], ...] = ()
    """The newest releases that ranges with an upper end allow, where newer ones are left out by it; looked up where
    nothing is pinned."""

    @property
    def newest_upload(self) -> tuple[Pin, datetime] | None:
        """The pin that was uploaded last, or the oldest allowed release that is newer still, and when.

        Where nothing is pinned, the newest releases that ranges with an upper end allow stand for pins.
        """
        dated = self._dated_pins or self.ceilings
        return max((*dated, *self.floors), key=lambda one: one[1]) if dated else None

    @property
    def has_dated_pins(self) -> bool:
        """Whether a pin's upload is known: ranges alone say less."""
        return bool(self._dated_pins)

    @property
    def _dated_pins(self) -> tuple[tuple[Pin, datetime], ...]:
        return tuple(
            (pin, release.uploaded_at)
            for pin in self.pins
            if (release := self.releases.get(pin.name)) is not None and release.uploaded_at is not None
        )


def cutoff(uploaded_at: datetime) -> datetime:
    """The midnight (UTC) after a release was there: as uv's --exclude-newer takes it."""
    day = uploaded_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)
