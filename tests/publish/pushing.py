"""What the tests of pushing share: tiny images, a look into the registry past every client of ours, counting cases."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from shipml.oci.digest import Digest
from shipml.oci.image import Image, LayerValue, assemble_image
from shipml.oci.manifest import MANIFEST_MEDIA_TYPE, canonical_json
from shipml.oci.reference import Reference
from tests.peers.registry import Registry

__all__ = ["Opened", "look_at", "made_image", "named", "new_name", "noise_layer"]


@dataclass
class Opened:
    """Which layers were opened, and how often."""

    digests: list[Digest] = field(default_factory=list)


def noise_layer(size_bytes: int, opened: Opened | None = None, *, data: bytes = b"") -> LayerValue:
    """A layer of bytes that nobody has seen; whether they are a tar matters to no registry."""
    data = data or os.urandom(size_bytes)
    digest = Digest.of(data)

    def open_data() -> BinaryIO:
        if opened is not None:
            opened.digests.append(digest)
        return io.BytesIO(data)

    return LayerValue(digest, digest, len(data), open_data)


def made_image(*layers: LayerValue) -> Image:
    """An image of these layers; of three tiny ones by default."""
    chosen = layers or tuple(noise_layer(size) for size in (3000, 2000, 1000))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/true"], "Env": [f"UNIQUE={os.urandom(8).hex()}"]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in chosen]},
    }
    return assemble_image(canonical_json(config), chosen)


def new_name() -> str:
    """A repository that no test has used."""
    return f"tests/{os.urandom(6).hex()}"


def named(host: str, repository: str, *tags: str) -> list[Reference]:
    """References in one repository."""
    return [Reference(host, repository, tag) for tag in tags or ("1",)]


@contextmanager
def _asked(registry: Registry) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(registry.host, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path, headers={"Accept": MANIFEST_MEDIA_TYPE})
    answer = connection.getresponse()
    return answer.status, answer.read()


def look_at(registry: Registry, repository: str, tag: str, image: Image) -> str:
    """Whether the image is "whole" or "absent" there; anything between is an AssertionError.

    Whole: the manifest is `image`'s, and config and layers can be read and have their digests.
    """
    with _asked(registry) as connection:
        status, manifest = _get(connection, f"/v2/{repository}/manifests/{tag}")
        if status == 404:
            return "absent"
        assert status == 200
        assert Digest.of(manifest) == image.digest
        document: dict[str, Any] = json.loads(manifest)
        for described in [document["config"], *document["layers"]]:
            status, data = _get(connection, f"/v2/{repository}/blobs/{described['digest']}")
            assert status == 200, f"{described['digest']} is missing"
            assert f"sha256:{hashlib.sha256(data).hexdigest()}" == described["digest"]
    return "whole"
