"""Tags that mean something in a registry already: told when they move, and refused where they must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shipml.errors import NotAllowedError
from shipml.events import Emit, Notice
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference
from shipml.registry.remote import Registries

__all__ = ["TagTakenError", "meanings", "refuse_to_move", "tell_moved"]


class TagTakenError(NotAllowedError):
    """A tag has another image already, and must not move."""

    kind = "tag-taken"


def meanings(references: Sequence[Reference], registries: Registries) -> dict[Reference, Digest | None]:
    """What tags of one repository mean now; None for nothing."""
    client = registries.client(references[0])
    return {one: client.head_manifest(one.repository, one.tag or "latest") for one in references}


def refuse_to_move(before: Mapping[Reference, Digest | None], digest: Digest) -> None:
    """Make sure that no tag has another image than `digest`.

    Raises:
        TagTakenError: one has.
    """
    for reference, former in before.items():
        if former not in (None, digest):
            raise TagTakenError(
                f"{reference} is already {former}, and tags there must not move",
                hint="push under another tag: --tag TAG; or drop --no-overwrite, or `immutable` in the settings",
            )


def tell_moved(before: Mapping[Reference, Digest | None], digest: Digest, emit: Emit) -> None:
    """Say which tags had another image."""
    for reference, former in before.items():
        if former not in (None, digest):
            emit(Notice(f"{reference} moved: it was {former}, and is {digest} now"))
