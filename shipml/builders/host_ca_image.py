"""A small image with this machine's certificate authorities, in the engine for as long as a build mounts it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from shipml.docker_engine import Engine
from shipml.errors import ShipmlError
from shipml.events import ignore
from shipml.oci.image import LayerValue, assemble_image
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import canonical_json
from shipml.oci.reference import Reference

__all__ = ["host_ca_image"]


@contextmanager
def host_ca_image(engine: Engine, files: Mapping[str, bytes]) -> Iterator[str]:
    """The name of an image with these files at its root; it is removed afterwards.

    The same files make the same image, so that steps of earlier builds are found again, under whatever name.
    """
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        for name, data in sorted(files.items()):
            writer.file(name, data)
        written = writer.close()
    layer = LayerValue(written.digest, written.diff_id, written.size_bytes, lambda: io.BytesIO(out.getvalue()))
    config = {
        "architecture": engine.platform.architecture,
        "os": engine.platform.os,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id)]},
    }
    reference = Reference.parse(f"shipml-host-ca:{layer.diff_id.hex[:12]}-{os.getpid()}")
    engine.load(assemble_image(canonical_json(config), [layer]), [reference], ignore)
    try:
        yield str(reference)
    finally:
        with suppress(ShipmlError):  # the engine has gone: the image is small, and harmless
            engine.remove_image(str(reference))
