"""A small image with files of this machine, in the engine for as long as builds mount it."""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from shipml.docker_engine import Engine
from shipml.errors import ShipmlError
from shipml.events import ignore
from shipml.oci.image import ImageValue, LayerValue, assemble_image
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import Platform, canonical_json
from shipml.oci.reference import Reference

__all__ = ["host_image"]


@contextmanager
def host_image(engine: Engine, files: Mapping[str, bytes], locks: Path) -> Iterator[str]:
    """The name of an image with these files at its root, the same for the same files; it is removed afterwards.

    Builds at the same time share it, and the last one removes it: a lock below the folder `locks` counts them.
    """
    image = _image(files, engine.platform)
    reference = Reference.parse(f"shipml-build-host:{image.layers[0].diff_id.hex[:12]}")
    locks.mkdir(parents=True, exist_ok=True)
    lock = os.open(locks / f"build-host-{reference.tag}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            engine.load(image, [reference], ignore)
            yield str(reference)
        finally:
            with suppress(BlockingIOError, ShipmlError):  # another build uses it; or the engine has gone
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                engine.remove_image(str(reference))
    finally:
        os.close(lock)


def _image(files: Mapping[str, bytes], platform: Platform) -> ImageValue:
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        for name, data in sorted(files.items()):
            writer.file(name, data)
        written = writer.close()
    layer = LayerValue(written.digest, written.diff_id, written.size_bytes, lambda: io.BytesIO(out.getvalue()))
    config = {
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id)]},
    }
    return assemble_image(canonical_json(config), [layer])
