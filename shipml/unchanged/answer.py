"""The answer to a build with nothing changed; imports nothing that plans or builds."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

from shipml.docker_engine.offer import offer
from shipml.events import Emit, step
from shipml.oci.reference import Reference
from shipml.report import BuildReport
from shipml.store import Store, default_home
from shipml.text import counted
from shipml.unchanged.known import KNOWN, LAYERS, Asked, Known, whole_image
from shipml.unchanged.looks import look_at, look_into
from shipml.unchanged.tool import surroundings

__all__ = ["answer"]


def answer(asked: Asked, emit: Emit) -> BuildReport | None:
    """The report of a build that changes nothing, with all that the whole way would say and do; None: go that way."""
    started_at = time.monotonic()
    if not asked.can_be_answered:
        return None
    with closing(Store(default_home())) as store:
        known = KNOWN.last(store, asked.key)
        if known is None or not _is_as_it_was(known):
            return None
        image = whole_image(store, known.report.digest)
        source = str(asked.request.folder.resolve())
        names = {one.reference: one for one in store.images() if one.digest == known.report.digest}
        if image is None or any(name not in names or names[name].source != source for name in known.report.references):
            return None
        for notice in known.notices:
            emit(notice)
        with step(emit, LAYERS) as running:
            running.detail = f"{counted(len(image.layers), 'layer')}, all reused"
        for name in known.report.references:
            store.tag(name, image.digest, source=source)
        if asked.load is not False:
            offer(
                store, image, [Reference.parse(name) for name in known.report.references], emit, must=bool(asked.load)
            )
        return replace(known.report, elapsed_seconds=time.monotonic() - started_at)


def _is_as_it_was(known: Known) -> bool:
    return (
        known.surroundings == surroundings()
        and all(look_at(path).words == words for path, words in known.files.items())
        and all(look_into(path).words == words for path, words in known.folders.items())
    )
