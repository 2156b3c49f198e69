"""Image reference → pin: manifest and config are read, layers only where those do not say what must be known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from shipml.bases.image_facts import (
    ImageFacts,
    environment_of,
    facts_of_config,
    facts_of_tree,
)
from shipml.bases.image_tree import image_tree
from shipml.errors import PlanError, UntrustedInputError
from shipml.events import step
from shipml.facts.plan import PREFIX, BaseLayerPin, ImageBasePin
from shipml.oci.digest import Digest
from shipml.oci.image import (
    Image,
    LayerValue,
    platform_of,
    read_config,
)
from shipml.oci.manifest import KIND, SOURCE, Descriptor, Platform
from shipml.oci.reference import Reference
from shipml.session import Session
from shipml.store import Store
from shipml.store.fact import decode, read_fact

__all__ = ["image_layers", "pin_image"]

_PIN_FACT = "image-pin-1"
_FACTS_FACT = "image-facts-1"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MEDIA_TYPES = {
    "application/vnd.docker.image.rootfs.diff.tar": _OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": f"{_OCI_LAYER}+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": f"{_OCI_LAYER}+zstd",
    _OCI_LAYER: _OCI_LAYER,
    f"{_OCI_LAYER}+gzip": f"{_OCI_LAYER}+gzip",
    f"{_OCI_LAYER}+zstd": f"{_OCI_LAYER}+zstd",
}
"""Docker's names for what OCI's name: the bytes are the same (image-spec, media-types.md, "Compatibility Matrix")."""
_OLDEST_MINOR = 8


def pin_image(reference: str, platform: Platform, *, session: Session) -> ImageBasePin:
    """The image, pinned. A pin that was made once is reused, without network, until `upgrade` is given.

    Raises:
        UsageError: no image can have that name.
        PlanError: it has no Python that shipml can use.
        ShipmlError: it is not available from its registry, as the class says.
    """
    store, emit = session.store, session.emit
    parsed = Reference.parse(reference)
    key = json.dumps([parsed.canonical, str(platform)])
    known = None
    if not session.upgrade:
        known = read_fact(store, _PIN_FACT, key, lambda kept: _from_json(reference, platform, kept))
    if known is not None:
        return known
    with step(emit, "base", f"{reference} for {platform}") as running:
        image = session.open_image(parsed, platform)
        pin = _pin(reference, image, platform, lambda: image_tree(image.digest, image.layers, store, emit), store)
        running.detail = f"{reference}, Python {pin.python}"
    store.keep_fact(_PIN_FACT, key, _to_json(pin))
    return pin


def image_layers(pin: ImageBasePin, store: Store) -> list[LayerValue]:
    """The layers of a pin, which stay in its registry until they are opened."""
    reference = Reference.parse(pin.reference)
    return [_layer(layer, pin.reference, f"{reference.registry}/{reference.repository}", store) for layer in pin.layers]


def _layer(layer: BaseLayerPin, source: str, repository: str, store: Store) -> LayerValue:
    if not store.remote_homes(layer.digest):
        store.note_remote(layer.digest, repository)
    described = Descriptor(layer.media_type, layer.digest, layer.size_bytes)
    return LayerValue(
        digest=layer.digest,
        diff_id=layer.diff_id,
        size_bytes=layer.size_bytes,
        opener=lambda: store.open_layer(described),
        media_type=layer.media_type,
        annotations={KIND: "base", SOURCE: source},
    )


def _pin(reference: str, image: Image, platform: Platform, unpack: Callable[[], Path], store: Store) -> ImageBasePin:
    config = read_config(image)
    if platform_of(image) != platform:
        raise PlanError(f"{reference} is an image for {platform_of(image)}, not for {platform}")
    environment = environment_of(config)
    if environment.get("VIRTUAL_ENV") == f"/{PREFIX}":
        raise PlanError(
            f"{reference} has packages of its own in /{PREFIX}, where shipml puts the project's",
            hint="choose the image that it was made from",
        )
    layers = tuple(
        BaseLayerPin(_media_type(layer.media_type, reference), layer.digest, layer.diff_id, layer.size_bytes)
        for layer in image.layers
    )
    facts = facts_of_config(config, Reference.parse(reference).tag or "")
    if facts is None:
        facts = _facts_of_files(image.digest, lambda: facts_of_tree(unpack(), environment, reference), store)
    if int(facts.python.split(".")[1]) < _OLDEST_MINOR:
        raise PlanError(f"{reference} has Python {facts.python}, which is older than shipml can use (3.8)")
    return ImageBasePin(
        reference=reference,
        digest=image.digest,
        python=facts.python,
        glibc=facts.glibc,
        interpreter=facts.interpreter,
        platform=platform,
        layers=layers,
        environment=tuple(sorted(environment.items())),
        suite=facts.suite,
    )


def _kept_facts(known: object) -> ImageFacts:
    return ImageFacts(*cast("list[str]", decode(known, list[str])))


def _facts_of_files(image: Digest, read: Callable[[], ImageFacts], store: Store) -> ImageFacts:
    """Facts that only the files tell: read once an image."""
    kept = read_fact(
        store, _FACTS_FACT, str(image), lambda known: ImageFacts(*cast("list[str]", decode(known, list[str])))
    )
    if kept is not None:
        return kept
    found = read()
    store.keep_fact(_FACTS_FACT, str(image), [found.python, found.interpreter, found.glibc, found.suite])
    return found


def _media_type(media_type: str, reference: str) -> str:
    known = _MEDIA_TYPES.get(media_type)
    if known is None:
        raise UntrustedInputError(
            f"{reference} has a layer of the type {re.sub(r'[^ -~]', '?', media_type)[:100]!r},"
            " which may not be copied or cannot be read",
            hint="choose another base",
        )
    return known


def _to_json(pin: ImageBasePin) -> dict[str, Any]:
    return {
        "digest": str(pin.digest),
        "facts": [pin.python, pin.interpreter, pin.glibc, pin.suite],
        "environment": [list(pair) for pair in pin.environment],
        "layers": [[layer.media_type, str(layer.digest), str(layer.diff_id), layer.size_bytes] for layer in pin.layers],
    }


def _from_json(reference: str, platform: Platform, document: Mapping[str, Any]) -> ImageBasePin:
    facts = _kept_facts(document["facts"])
    return ImageBasePin(
        reference=reference,
        digest=Digest.parse(document["digest"]),
        python=facts.python,
        glibc=facts.glibc,
        interpreter=facts.interpreter,
        platform=platform,
        layers=tuple(
            BaseLayerPin(str(media_type), Digest.parse(digest), Digest.parse(diff_id), int(size_bytes))
            for media_type, digest, diff_id, size_bytes in document["layers"]
        ),
        environment=tuple((str(name), str(value)) for name, value in document["environment"]),
        suite=facts.suite,
    )
