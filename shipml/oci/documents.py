"""Reads manifests, indexes and configs that came from outside, and makes an `Image` of them (OCI image-spec 1.1).

Docker's schema 2 documents are read too. A document is never trusted: its size is limited, its digest must be the one
that led to it, and its lists must agree with each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from shipml.errors import UntrustedInputError, UsageError
from shipml.oci.digest import Digest
from shipml.oci.image import Image, ImageValue, LayerValue
from shipml.oci.manifest import (
    CONFIG_MEDIA_TYPE,
    INDEX_MEDIA_TYPE,
    MANIFEST_MEDIA_TYPE,
    Descriptor,
    Platform,
)

__all__ = [
    "DOCKER_INDEX_MEDIA_TYPE",
    "DOCKER_MANIFEST_MEDIA_TYPE",
    "DOCUMENT_LIMIT_BYTES",
    "Manifest",
    "choose_manifest",
    "copy_blob",
    "is_index",
    "open_image",
    "parse_document",
    "parse_index",
    "parse_manifest",
    "read_document",
]

DOCUMENT_LIMIT_BYTES = 4 << 20
"""Of a manifest, index or config: what registries must accept (distribution-spec 1.1, "Pushing Manifests")."""
DOCKER_MANIFEST_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"

DOCKER_INDEX_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
_INDEX_MEDIA_TYPES = (INDEX_MEDIA_TYPE, DOCKER_INDEX_MEDIA_TYPE)
_MANIFEST_MEDIA_TYPES = (MANIFEST_MEDIA_TYPE, DOCKER_MANIFEST_MEDIA_TYPE)
_CONFIG_MEDIA_TYPES = (CONFIG_MEDIA_TYPE, "application/vnd.docker.container.image.v1+json")
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest, read."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    """Oldest first."""
    annotations: Mapping[str, str]


def parse_document(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object from outside; `what` names it in errors.

    Raises:
        UntrustedInputError: no JSON, or no object.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UntrustedInputError(f"{what} is not JSON") from error
    if not isinstance(document, dict):
        raise UntrustedInputError(f"{what} is not a JSON object")
    return document


def read_document(stream: BinaryIO, descriptor: Descriptor) -> bytes:
    """The bytes of the small document that `descriptor` names, checked by size and digest.

    Raises:
        UntrustedInputError: it is too large, or not the one named.
    """
    if descriptor.size_bytes > DOCUMENT_LIMIT_BYTES:
        raise UntrustedInputError(f"the document {descriptor.digest} says that it has {descriptor.size_bytes} bytes")
    data = stream.read(descriptor.size_bytes + 1)
    if len(data) != descriptor.size_bytes or Digest.of(data) != descriptor.digest:
        raise UntrustedInputError(f"the content of {descriptor.digest} is damaged: size or digest differ")
    return data


def copy_blob(
    source: BinaryIO, write: Callable[[bytes], object], digest: Digest, size_bytes: int, *, what: str = "blob"
) -> None:
    """Give all of `source` to `write` in pieces of 1 MiB, and check size and digest on the way.

    Raises:
        UntrustedInputError: the bytes are not those of `digest` (after some may have been written).
    """
    import hashlib

    hasher, left = hashlib.sha256(), size_bytes
    while piece := source.read(_COPY_BYTES):
        left -= len(piece)
        if left < 0:
            break
        hasher.update(piece)
        write(piece)
    if left or hasher.hexdigest() != digest.hex:
        raise UntrustedInputError(f"the {what} {digest} is damaged: size or digest differ")


def is_index(media_type: str, document: Mapping[str, Any]) -> bool:
    """Whether a document is a list of manifests, by its media type or, where that is missing, by its fields."""
    media_type = str(document.get("mediaType") or media_type)
    return media_type in _INDEX_MEDIA_TYPES or ("manifests" in document and "layers" not in document)


def parse_index(data: bytes, what: str = "the index") -> tuple[Descriptor, ...]:
    """The entries of an index (image-spec, image-index.md).

    Raises:
        UntrustedInputError: it is not one.
    """
    entries = parse_document(data, what).get("manifests")
    if not isinstance(entries, list):
        raise UntrustedInputError(f"{what} has no list of manifests")
    return tuple(Descriptor.from_json(entry) for entry in entries)


def choose_manifest(entries: Sequence[Descriptor], platform: Platform, what: str) -> Descriptor:
    """The entry for `platform`; one without a platform serves all.

    Raises:
        UsageError: there is none.
    """
    for entry in entries:
        if entry.platform == platform:
            return entry
    for entry in entries:
        if entry.platform is None and entry.media_type in (*_MANIFEST_MEDIA_TYPES, *_INDEX_MEDIA_TYPES):
            return entry
    offered = sorted({str(entry.platform) for entry in entries if entry.platform and entry.platform.os != "unknown"})
    raise UsageError(
        f"{what} has no image for {platform}", hint=f"it has {', '.join(offered)}" if offered else "it is empty"
    )


def parse_manifest(data: bytes, media_type: str = "") -> Manifest:
    """An image manifest (image-spec, manifest.md, or Docker's schema 2).

    Raises:
        UntrustedInputError: it is something else, or broken.
    """
    document = parse_document(data, "the manifest")
    media_type = str(document.get("mediaType") or media_type or MANIFEST_MEDIA_TYPE)
    layers = document.get("layers")
    if media_type not in _MANIFEST_MEDIA_TYPES or document.get("schemaVersion") != 2 or not isinstance(layers, list):  # noqa: PLR2004
        raise UntrustedInputError(f"{media_type[:100]!r} is not an image manifest that shipml reads")
    config = Descriptor.from_json(document.get("config") or {})
    if config.media_type not in _CONFIG_MEDIA_TYPES:
        raise UntrustedInputError(f"the manifest is of an artifact ({config.media_type[:100]}), not of an image")
    annotations = document.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise UntrustedInputError("the manifest's annotations are not an object")
    return Manifest(
        media_type,
        config,
        tuple(Descriptor.from_json(layer) for layer in layers),
        {str(name): str(value) for name, value in annotations.items()},
    )


def open_image(manifest: bytes, open_blob: Callable[[Descriptor], BinaryIO], *, media_type: str = "") -> Image:
    """The image of a manifest whose digest is checked already; layers are opened by `open_blob` when asked for.

    Raises:
        UntrustedInputError: manifest or config are broken, or disagree.
    """
    parsed = parse_manifest(manifest, media_type)
    with open_blob(parsed.config) as stream:
        config = read_document(stream, parsed.config)
    diff_ids = _diff_ids(config)
    if len(diff_ids) != len(parsed.layers):
        raise UntrustedInputError(
            f"the config names {len(diff_ids)} layers and the manifest {len(parsed.layers)}: they do not match"
        )
    layers = tuple(
        LayerValue(
            digest=layer.digest,
            diff_id=diff_id,
            size_bytes=layer.size_bytes,
            opener=_opener(open_blob, layer),
            media_type=layer.media_type,
            annotations=layer.annotations,
        )
        for layer, diff_id in zip(parsed.layers, diff_ids, strict=True)
    )
    return ImageValue(manifest, config, layers, parsed.media_type)


def _opener(open_blob: Callable[[Descriptor], BinaryIO], layer: Descriptor) -> Callable[[], BinaryIO]:
    return lambda: open_blob(layer)


def _diff_ids(config: bytes) -> list[Digest]:
    rootfs = parse_document(config, "the config").get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list):
        raise UntrustedInputError("the config does not list the layers' diff ids (rootfs.diff_ids)")
    return [Digest.parse(str(diff_id)) for diff_id in diff_ids]
