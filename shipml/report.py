"""What was done and what an image is, as values. Pure: the command line draws them, `--json` prints them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shipml.facts.plan import Decision, Plan
from shipml.oci.digest import Digest
from shipml.oci.image import (
    Image,
    Layer,
    platform_of,
    read_config,
)
from shipml.oci.index import ImageIndex
from shipml.oci.manifest import KIND, SOURCE, Platform
from shipml.oci.reference import Reference
from shipml.store import StoredImage
from shipml.store.borrowed import BorrowedLayers
from shipml.store.evidence import SmokeResult

__all__ = [
    "BuildReport",
    "ImageDescription",
    "ImageSummary",
    "LayerReport",
    "describe_image",
    "report_build",
    "report_index",
    "summarise_image",
]


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of the image that was built."""

    digest: Digest
    """Of the compressed bytes."""
    diff_id: Digest
    """Of the tar inside."""
    size_bytes: int
    """Compressed."""
    kind: str
    """As in `plan.model.LayerPlan.kind`; "" where the layer does not say."""
    source: str
    """What is in it, for people: `scipy==1.17.1`."""
    reused: bool
    """Whether it was in the store before this build."""

    def to_json(self, *, reused: bool = True) -> dict[str, Any]:
        """As `--json` prints it; without the field `reused` where that means nothing."""
        document = {
            "digest": str(self.digest),
            "diff_id": str(self.diff_id),
            "size_bytes": self.size_bytes,
            "kind": self.kind,
            "source": self.source,
        }
        return document | ({"reused": self.reused} if reused else {})


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What `shipml build` made."""

    digest: Digest
    """Of the manifest: what `name@sha256:…` names."""
    references: tuple[str, ...]
    """The image's names in this store, as `iris:latest`."""
    size_bytes: int
    """What a registry would hold: manifest, config and compressed layers."""
    builder: str
    base: str
    """As `--base` takes it: `debian:bookworm`."""
    python: str
    """Minor version: "3.11"."""
    platform: str
    """`linux/amd64`."""
    layers: tuple[LayerReport, ...]
    """Oldest (base) first."""
    decisions: tuple[Decision, ...]
    elapsed_seconds: float
    images: tuple[BuildReport, ...] = ()
    """One for each platform of an index; base, Python, platform and layers are then those of the image that runs here,
    else of the first. Empty for a single image."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """`linux/amd64`, …: all that the digest stands for."""
        return tuple(image.platform for image in self.images) or (self.platform,)

    @property
    def reused_layers(self) -> int:
        """How many layers were in the store before this build."""
        return sum(layer.reused for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """As `shipml build --json` prints it."""
        return {
            "digest": str(self.digest),
            "references": list(self.references),
            "size_bytes": self.size_bytes,
            "builder": self.builder,
            "base": self.base,
            "python": self.python,
            "platform": self.platform,
            "platforms": list(self.platforms),
            "layers": [layer.to_json() for layer in self.layers],
            "decisions": [decision.to_json() for decision in self.decisions],
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            **({"images": [image.to_json() for image in self.images]} if self.images else {}),
        }


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
        }


def summarise_image(stored: StoredImage, image: Image | ImageIndex) -> ImageSummary:
    """The line of `shipml images` for one name."""
    if isinstance(image, ImageIndex):
        platforms, size_bytes = image.platforms, _index_size_bytes(image)
    else:
        platforms, size_bytes = (platform_of(image),), _size_bytes(image)
    return ImageSummary(
        stored.reference,
        stored.digest,
        platforms,
        size_bytes,
        stored.created_at_seconds,
        stored.source,
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
        _size_bytes(image),
        image.media_type,
        tuple(_report_layer(layer, ()) for layer in image.layers),
        read_config(image),
        smoke,
        index,
        borrowed,
    )


def _size_bytes(image: Image) -> int:
    return len(image.manifest) + len(image.config) + sum(layer.size_bytes for layer in image.layers)


def _index_size_bytes(index: ImageIndex) -> int:
    """What a registry would hold: each blob once."""
    blobs = {layer.digest: layer.size_bytes for image in index.images for layer in image.layers}
    documents = sum(len(image.manifest) + len(image.config) for image in index.images)
    return len(index.manifest) + documents + sum(blobs.values())


def report_index(reports: Sequence[BuildReport], index: ImageIndex, elapsed_seconds: float) -> BuildReport:
    """The report of a build for several platforms, from one report for each."""
    here = index.image_for(Platform.of_this_machine()).digest
    shown = next(report for report in reports if report.digest == here)
    return replace(
        shown,
        digest=index.digest,
        size_bytes=_index_size_bytes(index),
        images=tuple(reports),
        elapsed_seconds=elapsed_seconds,
    )


def report_build(
    plan: Plan,
    image: Image,
    references: Sequence[Reference],
    *,
    builder: str,
    known: Collection[Digest],
    elapsed_seconds: float,
) -> BuildReport:
    """The report of a build.

    Args:
        plan: what was asked of the builder.
        image: what it made.
        references: the image's names, in the order in which they were typed.
        builder: name of the builder, as `--builder` takes it.
        known: digests of the blobs that were in the store before the build.
        elapsed_seconds: wall time of the whole command, planning included.
    """
    layers = tuple(_report_layer(layer, known) for layer in image.layers)
    return BuildReport(
        digest=image.digest,
        references=tuple(str(reference) for reference in references),
        size_bytes=_size_bytes(image),
        builder=builder,
        base=plan.base.reference,
        python=plan.python,
        platform=str(plan.platform),
        layers=layers,
        decisions=plan.decisions,
        elapsed_seconds=elapsed_seconds,
    )


def _report_layer(layer: Layer, known: Collection[Digest]) -> LayerReport:
    return LayerReport(
        digest=layer.digest,
        diff_id=layer.diff_id,
        size_bytes=layer.size_bytes,
        kind=layer.annotations.get(KIND, ""),
        source=layer.annotations.get(SOURCE, ""),
        reused=layer.digest in known,
    )
