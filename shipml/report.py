"""What was done and what an image is, as values. Pure: the command line draws them, `--json` prints them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipml.oci.annotations import KIND, SOURCE
from shipml.oci.digest import Digest
from shipml.oci.image import Image, Layer, platform_of, read_config
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.plan.model import Decision, Plan
from shipml.store import StoredImage

__all__ = ["BuildReport", "ImageSummary", "LayerReport", "describe_image", "report_build", "summarise_image"]


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
            "layers": [layer.to_json() for layer in self.layers],
            "decisions": [decision.to_json() for decision in self.decisions],
            "elapsed_seconds": round(self.elapsed_seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """One line of `shipml images`."""

    reference: str
    digest: Digest
    platform: Platform
    size_bytes: int
    """What a registry would hold: manifest, config and compressed layers."""
    created_at_seconds: float
    """When the name was last given (POSIX time)."""
    source: str
    """The folder that it was built from, or ""."""

    def to_json(self) -> dict[str, Any]:
        """As `shipml images --json` prints it."""
        return {
            "reference": self.reference,
            "digest": str(self.digest),
            "platform": str(self.platform),
            "size_bytes": self.size_bytes,
            "created_at_seconds": self.created_at_seconds,
            "source": self.source,
        }


def summarise_image(stored: StoredImage, image: Image) -> ImageSummary:
    """The line of `shipml images` for one name."""
    return ImageSummary(
        stored.reference,
        stored.digest,
        platform_of(image),
        _size_bytes(image),
        stored.created_at_seconds,
        stored.source,
    )


def describe_image(
    image: Image, references: Sequence[str], *, smoke: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `shipml inspect` prints: digest, names, layers, the config as it stands, and the last smoke test if any."""
    return {
        "digest": str(image.digest),
        "references": list(references),
        "platform": str(platform_of(image)),
        "size_bytes": _size_bytes(image),
        "media_type": image.media_type,
        "layers": [_report_layer(layer, ()).to_json(reused=False) for layer in image.layers],
        "config": read_config(image),
        "smoke": smoke,
    }


def _size_bytes(image: Image) -> int:
    return len(image.manifest) + len(image.config) + sum(layer.size_bytes for layer in image.layers)


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
