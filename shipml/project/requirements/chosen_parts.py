"""Which extras and dependency groups of pyproject.toml are wanted: by options, settings or a Dockerfile."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from shipml.errors import ConfigurationError
from shipml.facts.dockerfile import FollowedDockerfile
from shipml.facts.project import Settings
from shipml.project.data import normalised
from shipml.project.requirements.pyproject import known_choices
from shipml.project.requirements.reader import Folder

__all__ = ["with_choices"]


def with_choices(
    folder: Folder,
    settings: Settings,
    dockerfile: FollowedDockerfile | None,
    extras: Sequence[str],
    groups: Sequence[str],
) -> Folder:
    """The folder, with the extras and groups that readers take.

    Raises:
        ConfigurationError: pyproject.toml does not have one of them; the hint names those that it has.
    """
    known_extras, known_groups = known_choices(folder)
    named_extras, named_groups = (*settings.extras, *extras), (*settings.groups, *groups)
    _require("extra", named_extras, known_extras)
    _require("group", named_groups, known_groups)
    if dockerfile is not None:  # what it names besides may be for another tool, and counts as far as it is there
        named_extras += tuple(one for one in dockerfile.extras if normalised(one) in known_extras)
        named_groups += tuple(one for one in dockerfile.groups if normalised(one) in known_groups)
    return replace(
        folder,
        extras=tuple(sorted({normalised(one) for one in named_extras})),
        groups=tuple(sorted({normalised(one) for one in named_groups})),
    )


def _require(kind: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    missing = next((one for one in wanted if normalised(one) not in known), None)
    if missing is None:
        return
    near = difflib.get_close_matches(normalised(missing), known, n=1)
    there = f"it has: {', '.join(known)}" if known else f"it has no {kind}s"
    raise ConfigurationError(
        f"pyproject.toml does not have the {kind} {missing} that is asked for",
        hint=f"did you mean: {near[0]}" if near else there,
    )
