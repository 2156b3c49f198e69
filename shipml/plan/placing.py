"""Where a Dockerfile's COPY instructions put the project's files."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shipml.errors import PlanError
from shipml.plan.dockerfile import Copied, Understood
from shipml.plan.model import ApplicationFile

__all__ = ["Placed", "place_files"]


@dataclass(frozen=True, slots=True)
class Placed:
    """The files that are copied, and where those lie that are not at their own path in the working directory."""

    files: tuple[ApplicationFile, ...]
    """Sorted by path."""
    places: tuple[tuple[str, str], ...]
    """(path, absolute path in the image), sorted; a path comes once for each place."""


def place_files(files: Sequence[ApplicationFile], dockerfile: Understood) -> Placed:
    """Carry out the COPY instructions.

    Raises:
        PlanError: one finds nothing.
    """
    by_path = {file.path: file for file in files}
    placed: dict[str, str] = {}  # place → path: what is copied later lies on top
    for copied in dockerfile.copies:
        folders = {place.rpartition("/")[0] for place in placed} | {dockerfile.working_dir, *dockerfile.folders}
        found = dict(_copy(copied, files, folders))
        if not found and copied.source:
            raise PlanError(
                f"Dockerfile:{copied.line} copies {copied.source}, which is not in the project or is never sent",
                hint="see what is left out: shipml plan; the setting include keeps a file",
            )
        placed.update(found)
    root = dockerfile.working_dir.rstrip("/")
    at: dict[str, list[str]] = {}
    for place, path in placed.items():
        at.setdefault(path, []).append(place)
    return Placed(
        tuple(by_path[path] for path in sorted(at)),
        tuple(sorted((path, place) for path, places in at.items() for place in places if places != [f"{root}/{path}"])),
    )


def _copy(copied: Copied, files: Sequence[ApplicationFile], known: set[str]) -> Iterator[tuple[str, str]]:
    """(absolute path in the image, path) of what one COPY finds."""
    destination = copied.destination.rstrip("/")
    is_folder = copied.destination.endswith("/") or destination in known
    for source in _sources(copied.source, files):
        for file in files:
            if source == "" or file.path.startswith(f"{source}/"):
                below = file.path.removeprefix(f"{source}/") if source else file.path
                yield f"{destination}/{below}", file.path
            elif file.path == source and file.kind != "directory":
                name = source.rpartition("/")[2]
                yield f"{destination}/{name}" if is_folder else destination, file.path


def _sources(pattern: str, files: Sequence[ApplicationFile]) -> list[str]:
    """What a source means: itself, or all paths of its depth that match (Go's filepath.Match)."""
    if not re.search(r"[*?\[]", pattern):
        return [pattern]
    depth = pattern.count("/")
    return [
        file.path
        for file in files
        if file.path.count("/") == depth and all(map(fnmatch.fnmatchcase, file.path.split("/"), pattern.split("/")))
    ]
