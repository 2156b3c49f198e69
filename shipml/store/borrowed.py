"""Which layers of an image were taken on a registry's word, since its last image said that they are these."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import KEY
from shipml.store import Store
from shipml.store.fact import Fact
from shipml.store.layers import BASE_LAYERS, LAYERS, LayerFact

__all__ = ["BorrowedLayers", "borrowed_layers", "keep_borrowed_layers", "layer_made_here"]


@dataclass(frozen=True, slots=True)
class BorrowedLayers:
    """Layers that were neither made here nor compared with what would be."""

    reference: str
    """The image that they were taken from."""
    layers: tuple[Digest, ...]

    def to_json(self) -> dict[str, Any]:
        """As `shipml inspect` prints it."""
        return {"reference": self.reference, "layers": [str(digest) for digest in self.layers]}


_BORROWED = Fact("borrowed-layers-1", BorrowedLayers)
"""By the digest of the image's manifest."""


def keep_borrowed_layers(store: Store, image: Image, reference: str, digests: Collection[Digest]) -> None:
    """Note which layers of an image came from `reference`, whose layers have these `digests`; call it after the loan.

    A layer whose key leads to the same digest by a fact of this machine is not borrowed: it was made here once.
    """
    taken = tuple(
        layer.digest
        for layer in image.layers
        if layer.digest in digests and (key := layer.annotations.get(KEY)) and layer_made_here(store, key) is None
    )
    if taken or borrowed_layers(store, image.digest) is not None:
        _BORROWED.keep(store, str(image.digest), BorrowedLayers(reference, taken))


def borrowed_layers(store: Store, image: Digest) -> BorrowedLayers | None:
    """What `keep_borrowed_layers` noted; None for an image that was made here altogether."""
    found = _BORROWED.last(store, str(image))
    return found if found is not None and found.layers else None


def layer_made_here(store: Store, key: str) -> LayerFact | None:
    """What the store itself knows of the layer with `key`; call it while nothing is borrowed."""
    return LAYERS.last(store, key) or BASE_LAYERS.last(store, key)
