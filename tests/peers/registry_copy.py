"""Copies between real registries behind stand-ins, and puts blobs and manifests there: Azure's work inside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3

__all__ = ["NotThereError", "Place", "copy", "put_image"]

_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.manifest.v1",
        "oci.image.index.v1",
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
    )
)


class NotThereError(Exception):
    """The source has no such manifest."""


@dataclass(frozen=True, slots=True)
class Place:
    """A repository of a registry, and a token that is good for it."""

    url: str
    """Of the registry."""
    repository: str
    token: str = field(repr=False)

    def ask(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """One request; a path is below the repository, a URL is taken as it is."""
        url = path if "://" in path else f"{self.url}/v2/{self.repository}/{path}"
        headers = {"Authorization": f"Bearer {self.token}"} | dict(options.pop("headers", {}))
        return urllib3.request(method, url, headers=headers, retries=False, **options)

    def digest(self, reference: str) -> str:
        """Of a manifest, "" where there is none."""
        answer = self.ask("HEAD", f"manifests/{reference}", headers={"Accept": _MANIFESTS})
        return str(answer.headers["Docker-Content-Digest"]) if answer.status == 200 else ""

    def manifest(self, reference: str) -> tuple[bytes, str]:
        """Its bytes and media type.

        Raises:
            NotThereError: there is none.
        """
        answer = self.ask("GET", f"manifests/{reference}", headers={"Accept": _MANIFESTS})
        if answer.status != 200:
            raise NotThereError(reference)
        return answer.data, str(answer.headers["Content-Type"])

    def put_blob(self, data: bytes) -> Mapping[str, Any]:
        """Digest and size, as descriptors have them."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if self.ask("HEAD", f"blobs/{digest}").status != 200:
            session = self.ask("POST", "blobs/uploads/").headers["Location"]
            joint = "&" if "?" in session else "?"
            stored = self.ask("PUT", f"{session}{joint}digest={digest}", body=data)
            assert stored.status == 201, stored.data
        return {"digest": digest, "size": len(data)}

    def put_manifest(self, reference: str, data: bytes, media_type: str) -> str:
        """Its digest."""
        stored = self.ask("PUT", f"manifests/{reference}", body=data, headers={"Content-Type": media_type})
        assert stored.status == 201, stored.data
        return str(stored.headers["Docker-Content-Digest"])


def copy(source: Place, reference: str, target: Place, tags: list[str]) -> str:
    """Copy a manifest with all that it names, then tag it; returns its digest.

    Raises:
        NotThereError: the source has no such manifest.
    """
    data, media_type = source.manifest(reference)
    document = json.loads(data)
    for child in document.get("manifests", []):
        copy(source, child["digest"], target, [])
    for blob in [*document.get("layers", []), *filter(None, [document.get("config")])]:
        if target.ask("HEAD", f"blobs/{blob['digest']}").status != 200:
            _copy_blob(source, target, blob)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    for name in [digest, *tags]:
        target.put_manifest(name, data, media_type)
    return digest


def _copy_blob(source: Place, target: Place, blob: Mapping[str, Any]) -> None:
    answer = source.ask("GET", f"blobs/{blob['digest']}", preload_content=False)
    session = target.ask("POST", "blobs/uploads/").headers["Location"]
    joint = "&" if "?" in session else "?"
    length = {"Content-Length": str(blob["size"])}
    stored = target.ask("PUT", f"{session}{joint}digest={blob['digest']}", body=answer, headers=length)
    answer.release_conn()
    assert stored.status == 201, stored.data


def put_image(place: Place, tag: str, text: bytes = b"layer") -> str:
    """Put a manifest there with one layer, which is no archive; returns its digest."""
    document = {
        "schemaVersion": 2,
        "mediaType": _OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **place.put_blob(b"{}")},
        "layers": [{"mediaType": "application/octet-stream", **place.put_blob(text)}],
    }
    return place.put_manifest(tag, json.dumps(document).encode(), _OCI_MANIFEST)
