"""Why nothing came of any attempt: one cause, where it stands, and the smallest change that would fix it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shipml.errors import ResolutionError
from shipml.facts.releases import Pin
from shipml.lock.choosing import fits
from shipml.resolver.context import Work
from shipml.resolver.errors import ObstacleError, Refusal, no_python_fits
from shipml.resolver.pins import nearest_newer

__all__ = ["cause"]

_SHOWN = 5


def cause(work: Work, first: Sequence[Refusal], last: Sequence[Refusal]) -> ResolutionError:
    """The error for a project for which no attempt comes to anything.

    Args:
        work: with what is known of the pins.
        first: what the first attempt came to, Python by Python.
        last: what the last one came to, with the least left to fail on.
    """
    hopeless = _hopeless(work)
    if hopeless and len(work.candidates) > 1:
        return _without_anything(work, hopeless)
    real = [one.error for one in last if not one.error.lacking and not isinstance(one.error, ObstacleError)]
    return real[0] if real else no_python_fits(first)


def _hopeless(work: Work) -> list[Pin]:
    """The pins that have neither a wheel for any of the Pythons nor source."""
    fitting: list[Callable[[str], bool]] = [fits(one.suite, work.platform) for one in work.candidates]
    return [
        pin
        for pin in work.survey.pins
        if (release := work.survey.releases.get(pin.name)) is not None
        and not release.has_source
        and not any(fit(wheel) for wheel in release.wheels for fit in fitting)
    ]


def _without_anything(work: Work, pins: Sequence[Pin]) -> ResolutionError:
    shown = "; ".join(f"{pin} ({pin.source})" for pin in pins[:_SHOWN])
    more = f" and {len(pins) - _SHOWN} more" if len(pins) > _SHOWN else ""
    pythons = sorted({one.suite.python for one in work.candidates}, key=lambda python: int(python.partition(".")[2]))
    span = pythons[0] if len(pythons) == 1 else f"{pythons[0]} to {pythons[-1]}"
    better = [str(one) for pin in pins[:_SHOWN] if (one := _nearest(work, pin)) is not None]
    hint = f"the nearest that are available: {', '.join(better)}" if better else "choose versions that have wheels"
    return ResolutionError(f"no wheel for Python {span} on {work.platform}, and no source: {shown}{more}", hint=hint)


def _nearest(work: Work, pin: Pin) -> Pin | None:
    for candidate in sorted(work.candidates, key=lambda one: int(one.suite.python.partition(".")[2])):
        found = nearest_newer(work.uv, pin, work.declared.options, candidate.suite)
        if found is not None:
            return found
    return None
