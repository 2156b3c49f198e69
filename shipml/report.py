"""What was done and what an image is, as values. Pure: the command line draws them, `--json` prints them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shipml.facts.plan import Decision, Plan
from shipml.oci.digest import Digest
from shipml.oci.image import (
    Image,
    Layer,
)
from shipml.oci.index import ImageIndex
from shipml.oci.manifest import KIND, SOURCE, Platform
from shipml.oci.reference import Reference

__all__ = [
    "BuildReport",
    "LayerReport",
    "image_size_bytes",
    "index_size_bytes",
    "report_build",
    "report_index",
    "report_layer",
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
    """The image's names in this store, such as `iris:latest`."""
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

    @property
    def changes(self) -> tuple[str, ...]:
        """What was taken otherwise than the project says it: `sklearn → scikit-learn`."""
        return tuple(one.value for one in self.decisions if one.kind == "change")

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
            "changes": list(self.changes),
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            **({"images": [image.to_json() for image in self.images]} if self.images else {}),
        }


def image_size_bytes(image: Image) -> int:
    """What a registry would hold: manifest, config and compressed layers."""
    return len(image.manifest) + len(image.config) + sum(layer.size_bytes for layer in image.layers)


def index_size_bytes(index: ImageIndex) -> int:
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
        size_bytes=index_size_bytes(index),
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
    layers = tuple(report_layer(layer, known) for layer in image.layers)
    return BuildReport(
        digest=image.digest,
        references=tuple(str(reference) for reference in references),
        size_bytes=image_size_bytes(image),
        builder=builder,
        base=plan.base.reference,
        python=plan.python,
        platform=str(plan.platform),
        layers=layers,
        decisions=plan.decisions,
        elapsed_seconds=elapsed_seconds,
    )


def report_layer(layer: Layer, known: Collection[Digest]) -> LayerReport:
    """What is told of a layer; `known` are the digests that were there before."""
    return LayerReport(
        digest=layer.digest,
        diff_id=layer.diff_id,
        size_bytes=layer.size_bytes,
        kind=layer.annotations.get(KIND, ""),
        source=layer.annotations.get(SOURCE, ""),
        reused=layer.digest in known,
    )
