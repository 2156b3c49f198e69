"""Packages that are asked for by name and slid back by years, because newer releases lack a wheel somewhere below.

uv takes any version of what is not pinned: where one dependency of all newer releases has only source, that is the
first release of years before, which has nothing to do with what the project was written for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shipml.facts.releases import Release, Survey
from shipml.resolver.errors import UnsolvableError, explain
from shipml.resolver.prereleases import resolved
from shipml.resolver.ranges import has_ceiling
from shipml.resolver.release_lookup import newest_releases, releases_of
from shipml.resolver.uv import Question, Uv, UvError, dated_arguments

__all__ = ["without_slides"]

_LONG = timedelta(days=365)
"""A release that is so much older than another one that was there, too, is not what the project means."""


def without_slides(
    uv: Uv, question: Question, document: dict[str, Any], survey: Survey, now: datetime | None = None
) -> tuple[Question, dict[str, Any]]:
    """The resolution, asked for again where a package that the project names slid back by years.

    Where demands of others hold it back, it stays as it is: that is what the project asks for.

    Raises:
        UnsolvableError: newer releases lack wheels; names what lacks them.
        UvError: the index cannot be asked.
    """
    bounds = tuple(_bounds(uv, question, document, survey, now or datetime.now(UTC)))
    if not bounds:
        return question, document
    bounded = question.because_of(*bounds)
    try:
        return resolved(uv, bounded)
    except UvError as error:
        refusal = explain(error.stderr, question.base, question.platform, question.declared)
        if isinstance(refusal, UnsolvableError) and refusal.lacking:
            raise refusal from error
        return question, document


def _bounds(uv: Uv, question: Question, document: Mapping[str, Any], survey: Survey, now: datetime) -> Iterator[str]:
    """What keeps those that the project names without an upper end within a year of the newest that there was."""
    asked = {one.name for one in question.declared.requirements if one.name and not has_ceiling(one)}
    asked -= {pin.name for pin in survey.pins}
    day = question.as_of or (survey.newest_upload[1] if survey.newest_upload else now)
    old = {name: one for name, one in releases_of(document) if name in asked and _lies_before(one, day)}
    if not old:
        return
    options = question.declared.options
    newest = newest_releases(uv, list(old), options, *dated_arguments(question))
    for name, taken in old.items():
        best = newest.get(name)
        if best is None or best.uploaded_at is None or not _lies_before(taken, best.uploaded_at):
            continue
        time = (best.uploaded_at - _LONG).strftime("%Y-%m-%dT%H:%M:%SZ")
        before = newest_releases(uv, [name], options, "--exclude-newer", time).get(name)
        is_later = before is not None and before.version != taken.version
        yield f"{name}>={before.version}" if before and is_later else f"{name}>{taken.version}"


def _lies_before(release: Release, day: datetime) -> bool:
    return release.uploaded_at is not None and day - release.uploaded_at > _LONG
