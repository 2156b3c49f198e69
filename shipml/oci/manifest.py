"""The JSON documents of an image: descriptors, manifest, config (OCI image-spec 1.1).

Everything is written in one canonical form (sorted keys, no spaces, UTF-8), so that equal documents have equal digests.
"""

from __future__ import annotations

import json
import platform as host_platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from shipml.errors import UntrustedInputError, UsageError
from shipml.oci.digest import Digest

__all__ = [
    "BYTECODE",
    "CONFIG_MEDIA_TYPE",
    "INDEX_MEDIA_TYPE",
    "KEY",
    "KIND",
    "LAYER_GZIP_MEDIA_TYPE",
    "MANIFEST_MEDIA_TYPE",
    "NATIVE",
    "SOURCE",
    "Descriptor",
    "Platform",
    "canonical_json",
    "manifest_bytes",
]

MANIFEST_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_MEDIA_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_MEDIA_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP_MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"

_ARCHITECTURES = MappingProxyType(
    {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "arm64/v8": "arm64"}
)


def canonical_json(value: object) -> bytes:
    """`value` as JSON bytes with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An operating system and a CPU architecture in Go's names; prints as `linux/amd64`."""

    os: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `linux/amd64`, `linux/arm64`, `amd64`, `aarch64`, ….

        Raises:
            UsageError: a platform that shipml does not build for.
        """
        system, slash, architecture = text.lower().partition("/")
        if not slash:
            system, architecture = "linux", system
        if system != "linux" or architecture not in _ARCHITECTURES:
            raise UsageError(f"the platform {text!r} is not supported", hint="use linux/amd64 or linux/arm64")
        return cls(system, _ARCHITECTURES[architecture])

    @classmethod
    def of_this_machine(cls) -> Platform:
        """The platform of containers that run here without emulation: on macOS the Linux of the same CPU."""
        return cls.parse(host_platform.machine() or "amd64")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content by media type, digest and size (image-spec, descriptor.md)."""

    media_type: str
    digest: Digest
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    """Where else the content is, as for layers that must not be copied into registries."""

    def to_json(self) -> dict[str, Any]:
        """The descriptor as the specification writes it."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size_bytes,
        }
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        if self.urls:
            document["urls"] = list(self.urls)
        if self.platform is not None:
            document["platform"] = {"os": self.platform.os, "architecture": self.platform.architecture}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Descriptor:
        """Read a descriptor.

        Raises:
            UntrustedInputError: a field is missing or of another type.
        """
        try:
            described = document.get("platform")
            size_bytes = document["size"]
            if not isinstance(size_bytes, int) or size_bytes < 0:
                raise UntrustedInputError(f"descriptor has the size {size_bytes!r}")
            return cls(
                media_type=str(document["mediaType"]),
                digest=Digest.parse(str(document["digest"])),
                size_bytes=size_bytes,
                annotations={str(k): str(v) for k, v in (document.get("annotations") or {}).items()},
                platform=Platform(str(described["os"]), str(described["architecture"])) if described else None,
                urls=tuple(str(url) for url in document.get("urls") or ()),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UntrustedInputError(f"not an OCI descriptor: {str(document)[:200]}") from error


def manifest_bytes(
    config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str] | None = None
) -> bytes:
    """An OCI image manifest (image-spec, manifest.md), layers oldest first."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_MEDIA_TYPE,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    if annotations:
        document["annotations"] = dict(annotations)
    return canonical_json(document)


KIND = "io.shipml.layer.kind"
"""base, system, wheel, packages, weights or application (`plan.model.LayerPlan.kind`)."""
SOURCE = "io.shipml.layer.source"
"""What is in it, for people: `scipy==1.17.1`, `debian:bookworm`, `app.py and 3 more`."""
KEY = "io.shipml.layer.key"
"""The cache key: SHA-256 (hex) over everything that the layer's bytes depend on."""
BYTECODE = "io.shipml.layer.bytecode"
"""The interpreter that compiled the bytecode, such as `cpython-3.11.2`."""
NATIVE = "io.shipml.layer.native"
"""What native code the layer's wheels have (`wheels.facts`), so that who knows this image need not read the wheels."""
