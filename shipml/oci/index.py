"""One image for several platforms: an index that lists a manifest for each (OCI image-spec 1.1, image-index.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shipml.errors import UntrustedInputError
from shipml.oci.digest import Digest
from shipml.oci.documents import is_index, parse_document, parse_index
from shipml.oci.image import Image, platform_of
from shipml.oci.manifest import INDEX_MEDIA_TYPE, Descriptor, Platform, canonical_json

__all__ = ["ImageIndex", "assemble_index", "open_index"]


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """An index whose document and images are at hand; the layers come when they are opened."""

    manifest: bytes
    """The index document, byte for byte."""
    images: tuple[Image, ...]
    """In the order of the document; at least one."""
    media_type: str = INDEX_MEDIA_TYPE

    @property
    def digest(self) -> Digest:
        """Of the document: what `repository@sha256:…` names for all platforms."""
        return Digest.of(self.manifest)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """One for each image; what is not an image to run (an attestation) is left out."""
        return tuple(
            found for found in map(platform_of, self.images) if "unknown" not in (found.os, found.architecture)
        )

    def image_for(self, platform: Platform) -> Image:
        """The image for a platform, else the first."""
        return next((image for image in self.images if platform_of(image) == platform), self.images[0])


def assemble_index(images: Sequence[Image]) -> ImageIndex:
    """The index of images for different platforms, in one canonical order: equal images give an equal digest."""
    ordered = tuple(sorted(images, key=platform_of))
    entries = [
        Descriptor(image.media_type, image.digest, len(image.manifest), platform=platform_of(image)).to_json()
        for image in ordered
    ]
    document = {"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": entries}
    return ImageIndex(canonical_json(document), ordered)


def open_index(data: bytes, open_image: Callable[[Descriptor], Image], *, media_type: str = "") -> ImageIndex | None:
    """The index in `data`, whose digest is checked already; None where it is another document.

    Args:
        data: a manifest or an index.
        open_image: the image that an entry names.
        media_type: what led here says it is; the document's own field counts first.

    Raises:
        UntrustedInputError: the index is broken, lists nothing, or lists another index.
    """
    document = parse_document(data, "the manifest")
    if not is_index(media_type, document):
        return None
    entries = parse_index(data)
    if not entries:
        raise UntrustedInputError("the index lists no image")
    if any(is_index(entry.media_type, {}) for entry in entries):
        raise UntrustedInputError("the index lists another index, which shipml does not read")
    return ImageIndex(
        data, tuple(map(open_image, entries)), str(document.get("mediaType") or media_type or INDEX_MEDIA_TYPE)
    )
