"""Gives an image to the user's engine, if there is one."""

from __future__ import annotations

from collections.abc import Sequence

from shipml.docker_engine.connect import connect, find
from shipml.errors import ShipmlError
from shipml.events import Emit, Notice
from shipml.oci.image import Image
from shipml.oci.reference import Reference
from shipml.store import Store

__all__ = ["offer"]


def offer(store: Store, image: Image, names: Sequence[Reference], emit: Emit, *, must: bool) -> None:
    """Put an image into the user's engine; unless it `must` be there, a failure is a notice.

    Raises:
        ShipmlError: it must be there, and no engine is here or it does not take the image.
    """
    engine = connect() if must else find(emit=emit)
    if engine is None:
        return
    from shipml.docker_engine.loading import load_image, manifests_in

    try:
        with engine:
            load_image(engine, image, names, emit, manifest_of=manifests_in(store))
    except ShipmlError as error:
        if must:
            raise
        emit(Notice(f"the image is built, but not in the Docker Engine: {error.message}", "warning"))
