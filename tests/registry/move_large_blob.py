"""Uploads and downloads one large file and prints by how many bytes the process's memory grew; for test_client.py."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue
from shipml.registry.client import RegistryClient
from shipml.registry.keychain import DockerKeychain


def main(host: str, path: Path) -> list[int]:
    """By how many bytes the peak of resident memory grew, first by an upload, then by a download."""
    digest = Digest.of_file(path)
    layer = LayerValue(digest, digest, path.stat().st_size, lambda: path.open("rb"))
    client = RegistryClient(host, DockerKeychain(environment={}), environment={})
    client.ping()
    peaks = [_peak_bytes()]
    client.upload_blob("large/blob", layer)
    peaks.append(_peak_bytes())
    with client.open_blob("large/blob", layer.descriptor) as stream:
        while stream.read(1 << 20):
            pass
    peaks.append(_peak_bytes())
    return [peaks[1] - peaks[0], peaks[2] - peaks[1]]


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(*main(sys.argv[1], Path(sys.argv[2])))  # noqa: T201  (its result)
