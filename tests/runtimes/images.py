"""Small images with busybox in them, and a program that runs one: for tests that need a process or a user of its own.

As a program: `images.py HOME USER TIMEOUT_SECONDS MEMORY_BYTES COMMAND` runs `sh -c COMMAND` in the sandbox and prints
the result, and the notices, as JSON.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shipml.errors import ShipmlError
from shipml.events import Event, Notice, OutputReceived
from shipml.facts.plan import SmokeCheck
from shipml.oci.image import (
    Image,
    Layer,
    LayerValue,
    assemble_image,
)
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import Platform, canonical_json
from shipml.runtimes.base import RunOptions
from shipml.runtimes.sandbox import Sandbox
from shipml.store import Store

BUSYBOX = Path("/bin/busybox")
_APPLETS = (
    "sh id echo ls cat env sleep httpd touch rm mkdir rmdir nc ifconfig dd stat pwd hostname ps yes head tail wget kill"
    " true unshare"
)
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nworker:x:65532:65532:w:/home/worker:/bin/sh\n"
_GROUP = b"root:x:0:\nworkers:x:65532:\nextra:x:77:worker\n"


def make_layer(fill: Callable[[LayerWriter], object]) -> LayerValue:
    """A layer with what `fill` writes."""
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        fill(writer)
        written = writer.close()
    return LayerValue(written.digest, written.diff_id, written.size_bytes, lambda: io.BytesIO(out.getvalue()))


def busybox_layer() -> LayerValue:
    """A busybox with a shell and some commands, accounts, and files of root's."""

    def fill(writer: LayerWriter) -> None:
        writer.file("bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for name in _APPLETS.split():
            writer.symlink(f"bin/{name}", "busybox")
        writer.file("etc/passwd", _PASSWD)
        writer.file("etc/group", _GROUP)
        writer.directory("tmp", mode=0o1777)
        writer.file("roots/secret", b"hidden", mode=0o600)
        writer.file("roots/public", b"shown")

    return make_layer(fill)


def make_image(layers: Sequence[Layer], *, platform: Platform | None = None, **config: Any) -> Image:
    """An image of these layers, oldest first, for this machine unless told otherwise."""
    platform = platform or Platform.of_this_machine()
    document = {
        "architecture": platform.architecture,
        "os": platform.os,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
        "history": [{"created_by": "a test"} for _ in layers],
    }
    return assemble_image(canonical_json(document), layers)


def shell_image(command: str, *more_layers: LayerValue, **config: Any) -> Image:
    """An image whose command is `sh -c command`."""
    return make_image([busybox_layer(), *more_layers], Cmd=["sh", "-c", command], **config)


def main(home: str, user: str, timeout_seconds: str, memory_bytes: str, command: str) -> None:
    notices: list[str] = []

    def emit(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)
        if isinstance(event, OutputReceived):
            sys.stderr.buffer.write(event.data)
            sys.stderr.flush()

    sandbox = Sandbox(Store(Path(home)))
    image = shell_image(command, User=user)
    options = RunOptions(SmokeCheck(timeout_seconds=float(timeout_seconds)), memory_bytes=int(memory_bytes) or None)
    try:
        sandbox.check(image)
        document = sandbox.run(image, options, emit).to_json() | {"notices": notices}
    except ShipmlError as error:
        document = {"error": error.to_json()}
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
