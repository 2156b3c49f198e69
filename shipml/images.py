"""Which image is meant: a name, a digest or a folder → an image of the store, or one only the user's engine has.

`target` is a name, digest or folder everywhere; None is the last image built from the current folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipml import docker_engine
from shipml.errors import UsageError
from shipml.events import step
from shipml.oci.digest import Digest
from shipml.oci.image import Image, read_config
from shipml.oci.source import Source
from shipml.session import Session
from shipml.store import Store, StoredImage
from shipml.store.fact import Fact

__all__ = [
    "FoundImage",
    "built_on_engine",
    "find_image",
    "image_in_store",
    "keep_built_on_engine",
    "newest_on_engine",
    "stored_image",
]


def find_image(session: Session, target: str | None) -> FoundImage:
    """The image, in the store or else in the user's engine; `oci:DIR` and the like are read into the store.

    Raises:
        UsageError: neither has it.
        UntrustedInputError: what was read is broken.
    """
    if source := Source.parse(target or ""):
        return _read(session, source)
    elsewhere = newest_on_engine(session.store, target)
    try:
        image = image_in_store(session.store, target, elsewhere)
    except UsageError:
        engine = docker_engine.find(emit=session.emit) if elsewhere or target else None
        if engine is None:
            raise
        with engine:
            if (found := engine.find_image(elsewhere or target or "")) is None:
                raise
        named = target if target and not elsewhere and not found.id.hex.startswith(target) else ""
        labels = found.config.get("Labels") or {}
        return FoundImage(found.id, None, named or next(iter(found.references), ""), labels)
    return FoundImage(image.digest, image, stored_image(session.store, target).reference, _labels(image))


def _read(session: Session, source: Source) -> FoundImage:
    with step(session.emit, "read", str(source)):
        found = source.read()
        image = session.store.image(session.store.keep_image(found))
    return FoundImage(image.digest, image, source.name_of(found), _labels(image))


def stored_image(store: Store, target: str | None) -> StoredImage:
    """The image's entry in the store.

    Raises:
        UsageError: the store does not have it.
    """
    return store.last_built_from(Path()) if target is None else store.resolve(target)


def image_in_store(store: Store, target: str | None, elsewhere: str = "") -> Image:
    """The image in the store; `elsewhere` is what `newest_on_engine` found.

    Raises:
        UsageError: the store does not have it, or has an older one than the engine.
    """
    if elsewhere:
        raise UsageError(
            "the image is only in the Docker Engine that built it",
            hint="run it there: start that engine, and leave --runtime away",
        )
    return store.image(stored_image(store, target).digest)


def newest_on_engine(store: Store, target: str | None) -> str:
    """The id of the image of a folder (None: the current one), where an engine built its newest; else ""."""
    folder = Path(target or ".")
    if not folder.is_dir():
        return ""
    source = str(folder.resolve())
    times = [stored.created_at_seconds for stored in store.images() if stored.source == source]
    return built_on_engine(store, folder, since_seconds=max(times, default=0.0))


def _labels(image: Image) -> Mapping[str, str]:
    return read_config(image).get("config", {}).get("Labels") or {}


@dataclass(frozen=True, slots=True)
class _BuiltOnEngine:
    id: str
    built_at_seconds: float
    """POSIX time."""


_BUILT = Fact("built-on-engine", _BuiltOnEngine)
"""By the folder's path."""


def keep_built_on_engine(store: Store, folder: Path, image: Digest) -> None:
    """Remember that the newest image of a folder is in an engine, under this id."""
    _BUILT.keep(store, str(folder.resolve()), _BuiltOnEngine(str(image), time.time()))


def built_on_engine(store: Store, folder: Path, *, since_seconds: float = 0.0) -> str:
    """The id of the image that was built from the folder on an engine after `since_seconds` (POSIX time), else ""."""
    built = _BUILT.last(store, str(folder.resolve()))
    return built.id if built is not None and built.built_at_seconds > since_seconds else ""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that is to be pushed."""

    digest: Digest
    """Under which its smoke test is kept: of the manifest, or the engine's id where only an engine has it."""
    image: Image | None
    """None: only the engine has it."""
    name: str
    """As people know it; "" where it has no name."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of its config."""
