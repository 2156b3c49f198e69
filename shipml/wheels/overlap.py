"""Which of several wheels in a layer provides a path: the last, as where pip installs one over the other."""

from __future__ import annotations

from collections.abc import Sequence

from shipml.errors import UntrustedInputError
from shipml.events import Emit, Notice
from shipml.wheels.install import Placement, Target

__all__ = ["overridden"]


def overridden(placements: Sequence[Placement], emit: Emit) -> list[frozenset[str]]:
    """The paths of each wheel that a later one provides; a notice where their contents differ.

    Raises:
        UntrustedInputError: what is a file in one wheel is a folder in another.
    """
    providers: dict[str, tuple[int, Target]] = {}
    lost: list[set[str]] = [set() for _ in placements]
    for position, placement in enumerate(placements):
        for target in placement.targets:
            if target.path in providers:
                earlier, other = providers[target.path]
                lost[earlier].add(target.path)
                if _content(other) != _content(target):
                    emit(
                        Notice(
                            f"{placements[earlier].wheel.name} and {placement.wheel.name} both install /{target.path}; "
                            f"the file of {placement.wheel.name} is taken",
                            "warning",
                        )
                    )
            providers[target.path] = position, target
    if len(placements) > 1:
        _check_folders(placements, providers)
    return [frozenset(paths) for paths in lost]


def _content(target: Target) -> object:
    """What two files have in common that are the same."""
    return target.data if target.entry is None else (target.entry.crc32, target.entry.size_bytes)


def _check_folders(placements: Sequence[Placement], providers: dict[str, tuple[int, Target]]) -> None:
    for path, (position, _) in providers.items():
        parent = path.rpartition("/")[0]
        while parent:
            if parent in providers:
                names = sorted({placements[position].wheel.name, placements[providers[parent][0]].wheel.name})
                raise UntrustedInputError(
                    f"/{parent} is a file in one and a folder in the other of {' and '.join(names)}",
                    hint="the two packages cannot be installed together",
                )
            parent = parent.rpartition("/")[0]
