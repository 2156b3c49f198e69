"""Layers that are made once and known by a key: facts first, bytes only when someone needs them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from shipml.errors import BuildError, CancelledError, ShipmlError
from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import RECIPE, LayerWriter, WrittenLayer
from shipml.oci.manifest import KEY, KIND, SOURCE, Descriptor, canonical_json
from shipml.store import Store
from shipml.store.fact import Fact

__all__ = [
    "BASE_LAYERS",
    "BASE_LAYER_FACT",
    "LAYERS",
    "LAYER_FACT",
    "LayerFact",
    "cached_layer",
    "fetched",
    "layer_key",
]

LAYER_FACT = "layer"
"""Kind of the facts about layers, in the store: key → digest, diff id, sizes."""


BASE_LAYER_FACT = "debian-layer-1"
"""The same for layers of Debian packages."""


@dataclass(frozen=True, slots=True)
class LayerFact:
    """What a layer is, without its bytes."""

    digest: Digest
    diff_id: Digest
    size_bytes: int
    """Compressed."""


LAYERS = Fact(LAYER_FACT, LayerFact)
BASE_LAYERS = Fact(BASE_LAYER_FACT, LayerFact)


def layer_key(*parts: object) -> str:
    """The key of a layer (SHA-256, hex) from all that its bytes depend on; the layout's recipe is added here."""
    return hashlib.sha256(canonical_json([RECIPE, *parts])).hexdigest()


def cached_layer(
    store: Store,
    write: Callable[[LayerWriter], None],
    *,
    key: str,
    kind: str,
    source: str,
    modified_at_seconds: int = 0,
    extra_annotations: Mapping[str, str] | None = None,
) -> LayerValue:
    """The layer with `key`: from the store's facts, else written now by `write`.

    A layer whose facts are known but whose bytes were pruned is written again only when it is opened.

    Raises:
        BuildError: bytes written again differ from the facts (a recipe changed without its version).
    """

    def make() -> WrittenLayer:
        with store.draft() as draft, LayerWriter(draft.stream, modified_at_seconds=modified_at_seconds) as writer:
            write(writer)
            written = writer.close()
            store.adopt(draft, written.digest)
        return written

    fact = LAYERS.last(store, key)
    if fact is None:
        with store.lock(f"layer-{key}"):
            fact = LAYERS.last(store, key)
            if fact is None:
                written = make()
                fact = LayerFact(written.digest, written.diff_id, written.size_bytes)
                LAYERS.keep(store, key, fact)
    digest, size_bytes = fact.digest, fact.size_bytes

    def open_layer() -> BinaryIO:
        if not store.has_blob(digest, size_bytes) and not fetched(store, Descriptor("", digest, size_bytes)):
            with store.lock(f"layer-{key}"):
                if not store.has_blob(digest, size_bytes) and make().digest != digest:
                    raise BuildError(
                        f"layer {source} came out with another digest than {digest}",
                        hint="forget what was cached: shipml cache prune --all",
                    )
        return store.open_blob(digest)

    return LayerValue(
        digest=digest,
        diff_id=fact.diff_id,
        size_bytes=size_bytes,
        opener=open_layer,
        annotations={
            KIND: kind,
            SOURCE: source,
            KEY: key,
            **(extra_annotations or {}),
        },
    )


def fetched(store: Store, layer: Descriptor) -> bool:
    """Whether a registry gave the layer; where it could not, it is made again."""
    try:
        return store.fetch(layer)
    except CancelledError:
        raise
    except ShipmlError:
        return False
