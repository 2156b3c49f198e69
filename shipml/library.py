"""The life of images: listed, described, given names, fetched from a registry, removed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml import docker_engine
from shipml.docker_engine.offer import offer
from shipml.errors import ShipmlError, StoreError, UsageError
from shipml.events import Notice, step
from shipml.images import find_image, stored_image, tell_choice
from shipml.inspection import ImageDescription, ImageSummary, describe_image, summarise_image
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.index import ImageIndex
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.oci.source import Source
from shipml.publish.consent import keychain_for
from shipml.publish.destination import Destination, parse_typed
from shipml.publish.kinds import explained
from shipml.registry.keychain import ChainKeychain
from shipml.session import Session
from shipml.store import Store, StoredImage, evidence
from shipml.store.borrowed import borrowed_layers
from shipml.store.evidence import SmokeResult
from shipml.text import counted, listed, parse_size, size_text

__all__ = [
    "Removal",
    "add_name",
    "describe",
    "fetch_if_remote",
    "keep_bounded",
    "list_images",
    "load",
    "pull",
    "remove",
]


def list_images(store: Store) -> list[ImageSummary]:
    """The images in the store, newest first; one that lost its manifest is not listed."""
    found: list[tuple[StoredImage, Image | ImageIndex]] = []
    for stored in store.images():
        try:
            found.append((stored, store.index(stored.digest) or store.image(stored.digest)))
        except StoreError:
            continue
    uses = Counter(digest for image in {one.digest: one for _, one in found}.values() for digest in _layers(image))
    return [summarise_image(stored, image, uses, _verdict(store, image)) for stored, image in found]


def _layers(image: Image | ImageIndex) -> set[Digest]:
    images = image.images if isinstance(image, ImageIndex) else (image,)
    return {layer.digest for one in images for layer in one.layers}


def _verdict(store: Store, image: Image | ImageIndex) -> SmokeResult | None:
    """The last smoke test: of an index, that of this machine's image."""
    try:
        here = image.image_for(Platform.of_this_machine()) if isinstance(image, ImageIndex) else image
    except UsageError:  # it has none for this machine
        return None
    return evidence.last(store, here.digest)


def describe(session: Session, target: str | None) -> ImageDescription:
    """An image's digest, names, layers, config, and its last smoke test."""
    store = session.store
    stored = stored_image(store, target)
    tell_choice(session.emit, target, stored)
    image = store.image(stored.digest)
    return describe_image(
        image,
        [other.reference for other in store.images() if other.digest == stored.digest],
        smoke=evidence.last(store, image.digest),
        index=store.index(stored.digest),
        borrowed=borrowed_layers(store, image.digest),
    )


def add_name(session: Session, target: str | None, reference: str) -> tuple[Reference, Digest]:
    """Give an image one more name, in the store and in the user's engine; returns the name, and what has it."""
    name = Destination(reference).references("", lambda _: "")[0]
    found = find_image(session, target)
    if found.image is None:
        with docker_engine.connect() as engine:
            engine.tag(str(found.digest), name)
        session.store.untag(str(name))  # the name now means what the engine has
    else:
        session.store.tag(str(name), found.named_digest)
        load(session, found.image, [name], must=False)
    return name, found.named_digest


def load(session: Session, image: Image, names: Sequence[Reference], *, must: bool) -> None:
    """Put an image into the user's engine; unless it `must` be there, a failure is a notice."""
    offer(session.store, image, names, session.emit, must=must)


_MAX_SIZE_VARIABLE = "SHIPML_CACHE_MAX_SIZE"


def keep_bounded(session: Session, setting_bytes: int | None) -> None:
    """Make the store as small as SHIPML_CACHE_MAX_SIZE says, else the setting; a failure is only a notice."""
    text = os.environ.get(_MAX_SIZE_VARIABLE, "").strip()
    limit_bytes = parse_size(text) if text else setting_bytes
    if limit_bytes is None:
        if text:
            problem = f"{_MAX_SIZE_VARIABLE} is {text!r}, not a size such as 20 GB: the store stays as it is"
            session.emit(Notice(problem, "warning"))
        return
    try:
        done = session.store.bound(limit_bytes)
    except (ShipmlError, OSError) as error:
        session.emit(Notice(f"the store could not be made smaller: {error}", "warning"))
        return
    if done is None:
        return
    if freed_bytes := sum(kind.size_bytes for kind in done.removed):
        session.emit(Notice(f"freed {size_text(freed_bytes)} of the store, to keep it at {size_text(limit_bytes)}"))
    if done.left_bytes > limit_bytes:
        session.emit(
            Notice(
                f"the store has {size_text(done.left_bytes)}, more than {size_text(limit_bytes)}: its images need that;"
                " remove some: shipml rm IMAGE",
                "warning",
            )
        )


# From a registry


def pull(session: Session, text: str, platform: Platform | None = None) -> StoredImage:
    """Fetch an image of a registry, all its layers, and keep it under the name that was typed.

    Args:
        session: its store, listener and credentials.
        text: `[REGISTRY/]NAME[:TAG][@DIGEST]`, as docker reads it.
        platform: of an index; None for this machine's.

    Raises:
        UsageError: it is not a name of an image, or the registry does not have it for the platform.
        ShipmlError: it cannot be fetched, as the class says.
    """
    from shipml.registry.remote import Registries  # late: builds do not pay for HTTP

    reference = parse_typed(text)
    known = keychain_for(reference.registry, is_typed=True, ask=session.azure.choose)
    keychain = ChainKeychain(known, session.azure.keychain(required=False))
    with explained(reference, keychain), step(session.emit, "pull", str(reference)) as running:
        image = Registries(keychain, session.emit).open_image(reference, platform)
        sizes = {layer.digest: layer.size_bytes for layer in image.layers}
        missing_bytes = sum(size for digest, size in sizes.items() if not session.store.has_blob(digest, size))
        digest = session.store.keep_image(image, complete=True)
        running.detail = f"{counted(len(sizes), 'layer')}, {size_text(missing_bytes)} fetched"
    session.store.tag(str(reference), digest)
    return session.store.named(str(reference))[0]


def fetch_if_remote(session: Session, target: str | None, *, engine_counts: bool = False) -> None:
    """Pull what names a registry and is not here; with `engine_counts`, "here" is the user's engine too."""
    if target is None or not _names_registry(target) or _is_here(session.store, target):
        return
    if engine_counts and (engine := docker_engine.find(emit=session.emit)) is not None:
        with engine:
            if engine.find_image(target) is not None:
                return
    pull(session, target)


def _names_registry(text: str) -> bool:
    """Whether the first part is a host: it has a dot or a colon, or is `localhost`; neither a path nor `oci:…`."""
    host, slash, _ = text.partition("/")
    if not slash or not (host == "localhost" or "." in host or ":" in host) or Path(text).exists():
        return False
    try:
        if Source.parse(text):
            return False
        Reference.parse(text)
    except UsageError:
        return False
    return True


def _is_here(store: Store, target: str) -> bool:
    try:
        store.resolve(target)
    except UsageError:
        return False
    return True


# Removing


@dataclass(frozen=True, slots=True)
class Removal:
    """What `remove` did."""

    removed: tuple[StoredImage, ...]
    """Names that are gone, in the order in which they were asked for."""
    failures: tuple[ShipmlError, ...]
    """Why the others are not."""

    @property
    def error(self) -> ShipmlError | None:
        """One error for all that failed; None where nothing did."""
        if not self.failures:
            return None
        if len(self.failures) == 1 and not self.removed:
            return StoreError(self.failures[0].message, hint=self.failures[0].hint)
        problems = listed((failure.message for failure in self.failures), most=len(self.failures))
        return StoreError(f"not removed: {problems}", hint=self.failures[0].hint)

    def to_json(self) -> dict[str, Any]:
        """As `shipml rm --json` prints it."""
        return {"removed": [{"reference": one.reference, "digest": str(one.digest)} for one in self.removed]}


def remove(store: Store, words: Sequence[str], *, all_names: bool = False) -> Removal:
    """Remove names of images from the store; what cannot be removed does not stop the rest.

    The bytes go with the next `Store.prune`, unless another image needs them. The user's engine keeps its own images.

    Args:
        store: where the names are.
        words: names, or digests and their beginnings.
        all_names: whether every name goes of an image that was named by its digest and has several.
    """
    removed: list[StoredImage] = []
    failures: list[ShipmlError] = []
    for word in words:
        try:
            chosen = _to_remove(store, word, all_names=all_names)
        except ShipmlError as error:
            failures.append(error)
            continue
        removed += [one for one in chosen if store.untag(one.reference)]
    return Removal(tuple(removed), tuple(failures))


def _to_remove(store: Store, word: str, *, all_names: bool) -> tuple[StoredImage, ...]:
    found = store.named(word)
    if not found:
        folder = Path(word).is_dir()
        raise UsageError(
            f"{word} is a folder, not the name of an image" if folder else f"there is no image {word!r} here",
            hint="see: shipml images",
        )
    if len(found) > 1 and not all_names:
        names = listed((one.reference for one in found), most=len(found))
        raise UsageError(
            f"{word} has {counted(len(found), 'name')}: {names}", hint=f"for all of them: shipml rm --all {word}"
        )
    return found
