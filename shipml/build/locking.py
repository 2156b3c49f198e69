"""Writes pylock.toml: the resolution, the base's packages, and the layers that were made here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from shipml.events import Notice
from shipml.facts.request import PlanRequest
from shipml.lock import dump_lock
from shipml.prepare import plan_of, prepare
from shipml.session import Session
from shipml.text import counted

__all__ = ["write_lock"]


def write_lock(session: Session, request: PlanRequest) -> Path:
    """Write the project's pylock.toml; returns its path. Raises ShipmlError, as its class says.

    Layers that were made on this machine are named in it with their digests; what a last image gave is not, but for
    what the lock of before names.
    """
    from shipml.build.embedded import EmbeddedBuilder

    prepared = prepare(session, replace(request, locked=False))
    plan = plan_of(request, prepared)
    builder = EmbeddedBuilder(session.asked(request), request.folder)
    builder.check(plan)
    layers, missing = builder.locked_layers(plan, prepared.resolved.layers)
    if missing:
        session.emit(
            Notice(
                f"pylock.toml does not say which bytes {counted(missing, 'layer')} must have: build here first "
                "(shipml build --no-cache-from), then lock again"
            )
        )
    path = request.folder / "pylock.toml"
    _write_atomically(path, dump_lock(replace(prepared.resolved, layers=layers), prepared.base))
    return path


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("x", encoding="utf-8") as stream:
            stream.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
