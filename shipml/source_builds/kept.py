"""What was built, kept in the store: found again as long as all that it was made of is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipml.facts.plan import (
    LockedSource,
    LockedWheel,
)
from shipml.facts.project import Lock
from shipml.facts.pythons import PythonBase
from shipml.oci.digest import Digest
from shipml.oci.manifest import canonical_json
from shipml.source_builds.needs import (
    RECIPE,
)
from shipml.store import Store
from shipml.store.fact import decode, read_fact

__all__ = ["Built", "keep", "known_build"]

_FACT = "built-wheel-1"
_MOST = 8
"""Builds of one source that are remembered, with other versions of what they were built with."""


def known_build(
    source: LockedSource, suite: PythonBase, lock: Lock, pins: Mapping[str, str], store: Store
) -> Built | None:
    """The build of `source` with the lock's own versions of all its tools, if its wheel is still in the store."""
    for one in _builds(source, suite, lock, store):
        digest = Digest(one["digest"])
        if not store.has_blob(digest, one["size_bytes"]):
            continue
        if all(pins.get(name) == version for name, version in one["pins"].items()):
            wheel = LockedWheel(
                source.name,
                one["version"],
                store.blob_path(digest).as_uri(),
                one["size_bytes"],
                digest,
                one["filename"],
            )
            return Built(wheel, one["because"])
    return None


def keep(  # noqa: PLR0917  (a row)
    source: LockedSource,
    suite: PythonBase,
    lock: Lock,
    wheel: LockedWheel,
    because: str,
    tools: Sequence[LockedWheel],
    pins: Mapping[str, str],
    store: Store,
) -> None:
    """Remember a build, and which of the lock's versions it was made with."""
    made = {
        "digest": wheel.digest.hex,
        "size_bytes": wheel.size_bytes,
        "filename": wheel.filename,
        "version": wheel.version,
        "because": because,
        "pins": {tool.name: pins.get(tool.name) for tool in tools},
        "tools": {tool.name: tool.version for tool in tools},
    }
    with store.lock(f"built-{source.digest.hex}"):
        others = [one for one in _builds(source, suite, lock, store) if one["pins"] != made["pins"]]
        store.keep_fact(_FACT, _key(source, suite, lock), [made, *others[: _MOST - 1]])


def _builds(source: LockedSource, suite: PythonBase, lock: Lock, store: Store) -> list[dict[str, Any]]:
    return read_fact(store, _FACT, _key(source, suite, lock), _checked) or []


def _checked(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one in found:
        Digest(one["digest"])
        decode(one, dict[str, Any])
        decode(one["tools"], dict[str, str])
        decode(one["pins"], dict[str, str | None])
        decode([one["filename"], one["version"], one["because"]], list[str])
        decode(one["size_bytes"], int)
    return found


def _key(source: LockedSource, suite: PythonBase, lock: Lock) -> str:
    # the C library's version tells suites apart behind one tag: python:3.12-slim was bookworm's, and is trixie's now
    base = [suite.name, suite.python, suite.glibc, str(lock.platform)]
    return str(Digest.of(canonical_json([RECIPE, source.name, source.version, str(source.digest), *base])))


@dataclass(frozen=True, slots=True)
class Built:
    """A wheel that was made of a source."""

    wheel: LockedWheel
    because: str
