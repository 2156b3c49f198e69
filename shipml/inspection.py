"""What is told of images in the store: a line of `shipml images`, the document of `shipml inspect`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipml.oci.digest import Digest
from shipml.oci.image import Image, platform_of, read_config
from shipml.oci.index import ImageIndex
from shipml.oci.manifest import Platform
from shipml.report import LayerReport, image_size_bytes, index_size_bytes, report_layer
from shipml.runtimes.base import SmokeResult
from shipml.store import StoredImage
from shipml.store.borrowed import BorrowedLayers

__all__ = ["ImageDescription", "ImageSummary", "describe_image", "summarise_image"]


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """One line of `shipml images`."""

    reference: str
    digest: Digest
    """Of the manifest, or of the index where there are several platforms."""
    platforms: tuple[Platform, ...]
    size_bytes: int
    """What a registry would hold: manifests, configs and compressed layers."""
    created_at_seconds: float
    """When the name was last given (POSIX time)."""
    source: str
    """The folder that it was built from, or ""."""
    unique_bytes: int
    """Of the layers that no other image in the store has: what removing it frees."""
    layer_count: int
    passed: bool | None
    """What its last smoke test said; None where it was never run."""

    def to_json(self) -> dict[str, Any]:
        """As `shipml images --json` prints it."""
        return {
            "reference": self.reference,
            "digest": str(self.digest),
            "platform": ",".join(map(str, self.platforms)),
            "platforms": [str(platform) for platform in self.platforms],
            "size_bytes": self.size_bytes,
            "created_at_seconds": self.created_at_seconds,
            "source": self.source,
            "unique_bytes": self.unique_bytes,
            "layers": self.layer_count,
            "passed": self.passed,
        }


def summarise_image(
    stored: StoredImage, image: Image | ImageIndex, uses: Mapping[Digest, int], smoke: SmokeResult | None
) -> ImageSummary:
    """The line of `shipml images` for one name; `uses`: how many images have a layer, `smoke`: its last test."""
    images = image.images if isinstance(image, ImageIndex) else (image,)
    sizes = {layer.digest: layer.size_bytes for one in images for layer in one.layers}
    return ImageSummary(
        stored.reference,
        stored.digest,
        image.platforms if isinstance(image, ImageIndex) else (platform_of(image),),
        index_size_bytes(image) if isinstance(image, ImageIndex) else image_size_bytes(image),
        stored.created_at_seconds,
        stored.source,
        sum(size_bytes for digest, size_bytes in sizes.items() if uses.get(digest, 0) <= 1),
        len(sizes),
        smoke.passed if smoke else None,
    )


@dataclass(frozen=True, slots=True)
class ImageDescription:
    """What `shipml inspect` tells of an image."""

    digest: Digest
    """Of the manifest."""
    references: tuple[str, ...]
    """Its names in the store."""
    platform: Platform
    size_bytes: int
    """What a registry would hold: manifest, config and compressed layers."""
    media_type: str
    layers: tuple[LayerReport, ...]
    """Oldest (base) first; `reused` means nothing here."""
    config: Mapping[str, Any]
    """The image's config as it stands (OCI image-spec, config.md)."""
    smoke: SmokeResult | None
    """Its last smoke test."""
    index: ImageIndex | None = None
    """What it is one of, where its names mean several platforms."""
    borrowed: BorrowedLayers | None = None
    """Layers that were taken from a registry's last image, and not made here."""

    def to_json(self) -> dict[str, Any]:
        """As `shipml inspect` prints it."""
        return {
            "digest": str(self.digest),
            "references": list(self.references),
            "platform": str(self.platform),
            "size_bytes": self.size_bytes,
            "media_type": self.media_type,
            "layers": [layer.to_json(reused=False) for layer in self.layers],
            "config": self.config,
            "smoke": self.smoke.to_json() if self.smoke else None,
            **({"index": _index_json(self.index)} if self.index else {}),
            "borrowed": self.borrowed.to_json() if self.borrowed else None,
        }


def _index_json(index: ImageIndex) -> dict[str, Any]:
    return {
        "digest": str(index.digest),
        "images": [{"digest": str(image.digest), "platform": str(platform_of(image))} for image in index.images],
    }


def describe_image(
    image: Image,
    references: Sequence[str],
    *,
    smoke: SmokeResult | None = None,
    index: ImageIndex | None = None,
    borrowed: BorrowedLayers | None = None,
) -> ImageDescription:
    """The description of an image with these names; what is not known of it is None (see ImageDescription)."""
    return ImageDescription(
        image.digest,
        tuple(references),
        platform_of(image),
        image_size_bytes(image),
        image.media_type,
        tuple(report_layer(layer, ()) for layer in image.layers),
        read_config(image),
        smoke,
        index,
        borrowed,
    )
