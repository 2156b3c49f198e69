"""What was done and what an image is, as values. Pure: the command line draws them, `--json` prints them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipml.facts.plan import Decision, Plan
from shipml.oci.digest import Digest
from shipml.oci.image import (
    Image,
    Layer,
    platform_of,
    read_config,
)
from shipml.oci.manifest import KIND, SOURCE, Platform
from shipml.oci.reference import Reference
from shipml.publish.pushed import Pushed
from shipml.store import StoredImage
from shipml.store.evidence import SmokeResult

__all__ = [
    "BuildReport",
    "ImageDescription",
    "ImageSummary",
    "LayerReport",
    "Outcome",
    "describe_image",
    "output_file_text",
    "report_build",
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
            "layers": [layer.to_json() for layer in self.layers],
            "decisions": [decision.to_json() for decision in self.decisions],
            "changes": list(self.changes),
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
        }


def describe_image(image: Image, references: Sequence[str], *, smoke: SmokeResult | None = None) -> ImageDescription:
    """The description of an image that has these names and passed or failed `smoke`."""
    return ImageDescription(
        image.digest,
        tuple(references),
        platform_of(image),
        _size_bytes(image),
        image.media_type,
        tuple(_report_layer(layer, ()) for layer in image.layers),
        read_config(image),
        smoke,
    )


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


_LARGEST_LAYERS = 10
_KILO, _MEGA = 1_000, 1_000_000
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `build`, `push` or `ship` came to; what was not done is None."""

    built: BuildReport | None = None
    smoke: Mapping[str, Any] | None = None
    """As `SmokeResult.to_json` has it, of this run or an earlier one of the same digest."""
    pushed: Pushed | None = None
    elapsed_seconds: float = 0.0

    @property
    def measures(self) -> dict[str, float]:
        """What the smoke test measured, without what is no number."""
        measures = (self.smoke or {}).get("measures")
        found = measures.items() if isinstance(measures, Mapping) else ()
        return {str(name): value for name, value in found if isinstance(value, (int, float))}

    def to_json(self) -> dict[str, Any]:
        """As `shipml ship --json` prints it: what counts at the top, each command's own document below."""
        pushed, built = self.pushed, self.built
        made = pushed or built
        return {
            "reference": pushed.pinned if pushed else None,
            "digest": str(made.digest) if made else None,
            "size_bytes": built.size_bytes if built else None,
            "measures": self.measures,
            "build": built.to_json() if built else None,
            "run": dict(self.smoke) if self.smoke else None,
            "push": pushed.to_json() if pushed else None,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
        }

    def outputs(self) -> dict[str, str]:
        """For the next steps of a workflow; a measure that is called like another output has `measure_` before it.

        `digest`, `reference` (with digest), `references` (one a line), `size_bytes`, `passed`, and each measure.
        """
        found: dict[str, str] = {}
        if self.built is not None:
            found |= {
                "digest": str(self.built.digest),
                "references": "\n".join(self.built.references),
                "size_bytes": str(self.built.size_bytes),
            }
        if self.pushed is not None:
            found |= {
                "digest": str(self.pushed.digest),
                "reference": self.pushed.pinned,
                "references": "\n".join(str(reference) for reference in self.pushed.references),
            }
        if self.smoke is not None:
            found["passed"] = json.dumps(bool(self.smoke.get("passed")))
        for name, value in self.measures.items():
            key = re.sub(r"[^A-Za-z0-9_]+", "_", name)
            key = key if re.match(r"[A-Za-z_]", key) and key not in _RESERVED else f"measure_{key}"
            found.setdefault(key, f"{value:g}")
        return found

    def markdown(self) -> str:
        """The summary of a job."""
        title = ", ".join(_code(name) for name in self._names()) or "an image"
        lines = [f"### {title}", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in self._rows() if value]
        if self.built is not None:
            lines += ["", *_layer_table(self.built)]
        return "\n".join(lines) + "\n"

    def _names(self) -> tuple[str, ...]:
        if self.pushed is not None:
            return tuple(str(reference) for reference in self.pushed.references)
        return self.built.references if self.built is not None else ()

    def _rows(self) -> list[tuple[str, str]]:
        rows = []
        if self.pushed is not None:
            rows.append(("deploy", _code(self.pushed.pinned)))
        elif self.built is not None:
            rows.append(("digest", _code(str(self.built.digest))))
        if self.built is not None:
            rows += [
                ("size", f"{_size(self.built.size_bytes)} in {len(self.built.layers)} layers"),
                ("reused", f"{self.built.reused_layers} of {len(self.built.layers)} layers"),
                ("base", _words(self.built.base)),
                ("Python", _words(self.built.python)),
                ("platform", _words(self.built.platform)),
            ]
        if self.smoke is not None:
            rows.append(("smoke test", _words(str(self.smoke.get("because") or "passed"))))
        elif self.pushed is not None:
            rows.append(("smoke test", _words(self.pushed.smoke)))
        rows += [(_words(name), f"{value:g}") for name, value in self.measures.items()]
        if self.pushed is not None and self.pushed.uploaded_bytes is not None:
            rows.append(("uploaded", _size(self.pushed.uploaded_bytes)))
        return [*rows, ("time", f"{self.elapsed_seconds:.1f} s" if self.elapsed_seconds else "")]


_RESERVED = frozenset({"digest", "passed", "reference", "references", "size_bytes"})


def output_file_text(outputs: Mapping[str, str], delimiter: str) -> str:
    """What is appended to the file that GITHUB_OUTPUT names, for values of any number of lines.

    Args:
        outputs: by name.
        delimiter: a line that no value may hold: a value that could end its own block could set any output.

    Raises:
        ValueError: a value holds the delimiter.
    """
    if any(delimiter in value for value in outputs.values()):
        raise ValueError(delimiter)
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in outputs.items())


def _layer_table(built: BuildReport) -> list[str]:
    largest = sorted(built.layers, key=lambda layer: -layer.size_bytes)[:_LARGEST_LAYERS]
    return [
        "<details><summary>Largest layers</summary>",
        "",
        "| layer | size | |",
        "|---|---:|---|",
        *(
            f"| {_words(layer.source or layer.kind or layer.digest.short)} | {_size(layer.size_bytes)}"
            f" | {'reused' if layer.reused else 'new'} |"
            for layer in largest
        ),
        "",
        "</details>",
    ]


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MEGA:.1f} MB" if size_bytes >= _MEGA else f"{size_bytes / _KILO:.1f} kB"


def _words(text: str) -> str:
    """Text from outside as it stands: neither a table's cell nor a page can be broken by it."""
    return _MARKDOWN.sub(r"\\\1", _CONTROL.sub(" ", text)[:300])


def _code(text: str) -> str:
    return "`" + _CONTROL.sub(" ", text).replace("`", "'").replace("|", "/") + "`"
