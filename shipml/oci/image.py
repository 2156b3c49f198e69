"""What an image is to shipml: two small read-only protocols, and the plain value that satisfies them.

A store image, an OCI layout, an archive, a registry image and a Docker image are all `Image`: push, load, export and
promote are one copy from one `Image` to one sink. Layers are lazy: digest, diff id and size are known before the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from shipml.oci.config_shape import parse_config
from shipml.oci.digest import Digest
from shipml.oci.manifest import (
    CONFIG_MEDIA_TYPE,
    LAYER_GZIP_MEDIA_TYPE,
    MANIFEST_MEDIA_TYPE,
    Descriptor,
    Platform,
    manifest_bytes,
)

__all__ = ["Image", "ImageValue", "Layer", "LayerValue", "assemble_image"]


class Layer(Protocol):
    """One layer of an image."""

    @property
    def digest(self) -> Digest:
        """Of the bytes as transported (compressed)."""

    @property
    def diff_id(self) -> Digest:
        """Of the tar inside (uncompressed)."""

    @property
    def size_bytes(self) -> int:
        """Of the bytes as transported."""

    @property
    def media_type(self) -> str:
        """Says how the bytes are compressed."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """What the manifest's descriptor says of it: kind, source, cache key."""

    def open(self) -> BinaryIO:
        """The bytes as transported; the caller closes the stream. They may be made or fetched only now."""


class Image(Protocol):
    """One image for one platform."""

    @property
    def digest(self) -> Digest:
        """Of `manifest`: what `repository@sha256:…` names."""

    @property
    def manifest(self) -> bytes:
        """The manifest, byte for byte."""

    @property
    def media_type(self) -> str:
        """The manifest's own media type."""

    @property
    def config(self) -> bytes:
        """The config, byte for byte."""

    @property
    def layers(self) -> Sequence[Layer]:
        """Oldest (base) first."""


@dataclass(frozen=True, slots=True)
class LayerValue:
    """A layer whose facts are known and whose bytes come from a function when someone needs them."""

    digest: Digest
    diff_id: Digest
    size_bytes: int
    opener: Callable[[], BinaryIO] = field(repr=False, compare=False)
    media_type: str = LAYER_GZIP_MEDIA_TYPE
    annotations: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> BinaryIO:
        """The compressed bytes."""
        return self.opener()

    @property
    def descriptor(self) -> Descriptor:
        """How a manifest names this layer."""
        return describe(self)


@dataclass(frozen=True, slots=True)
class ImageValue:
    """An image whose documents are in memory."""

    manifest: bytes
    config: bytes
    layers: Sequence[Layer]
    media_type: str = MANIFEST_MEDIA_TYPE

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return Digest.of(self.manifest)


def describe(layer: Layer) -> Descriptor:
    """How a manifest names `layer`."""
    return Descriptor(layer.media_type, layer.digest, layer.size_bytes, layer.annotations)


def assemble_image(config: bytes, layers: Sequence[Layer], annotations: Mapping[str, str] | None = None) -> ImageValue:
    """An image from its config document and its layers, oldest first."""
    described = Descriptor(CONFIG_MEDIA_TYPE, Digest.of(config), len(config))
    return ImageValue(
        manifest=manifest_bytes(described, [describe(layer) for layer in layers], annotations),
        config=config,
        layers=tuple(layers),
    )


def read_config(image: Image) -> dict[str, Any]:
    """The image's config document, parsed.

    Raises:
        UntrustedInputError: it is not a config.
    """
    return parse_config(image.config)


def platform_of(image: Image) -> Platform:
    """The platform that the image's config names."""
    document = read_config(image)
    return Platform(str(document.get("os", "linux")), str(document.get("architecture", "")))
