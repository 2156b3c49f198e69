"""Plan → Image: the table of builders, and which one `auto` takes."""

from __future__ import annotations

from shipml.builders.base import Builder
from shipml.builders.embedded import EmbeddedBuilder
from shipml.errors import UsageError
from shipml.http import HttpClient
from shipml.store import Store

__all__ = ["BUILDERS", "choose_builder"]

BUILDERS = {EmbeddedBuilder.name: EmbeddedBuilder}
"""By the name that `--builder` takes."""


def choose_builder(name: str, *, store: Store, http: HttpClient, allow_expired: bool = False) -> Builder:
    """The builder called `name`; "auto" takes the embedded one.

    Raises:
        UsageError: there is no builder of that name.
    """
    builder = BUILDERS.get(EmbeddedBuilder.name if name == "auto" else name)
    if builder is None:
        raise UsageError(f"there is no builder {name!r}", hint=f"use one of: auto, {', '.join(sorted(BUILDERS))}")
    return builder(store, http, allow_expired=allow_expired)
