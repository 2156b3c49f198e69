"""`shipml images`."""

from __future__ import annotations

import time

from shipml.cli.console import Console
from shipml.cli.text import columns, printable, size_text

__all__ = ["images"]

_SHORT_DIGEST = 19


def images(console: Console) -> None:
    """List the images in the store, newest first.

    Examples:
      shipml images
      shipml images -q                the names only
      shipml images --json | jq '.[0].digest'
    """
    from shipml.pipeline import Shipml  # noqa: PLC0415  (`--help` needs none of it)

    with Shipml(emit=console.emit) as session:
        found = session.images()
    if console.as_json:
        console.document([image.to_json() for image in found])
    elif console.quiet:
        for image in found:
            console.data(printable(image.reference))
    elif found:
        rows = [
            (
                printable(image.reference),
                str(image.digest)[:_SHORT_DIGEST],
                str(image.platform),
                size_text(image.size_bytes),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(image.created_at_seconds)),
            )
            for image in found
        ]
        console.data("\n".join(columns([("IMAGE", "DIGEST", "PLATFORM", "SIZE", "BUILT"), *rows])))
    else:
        console.say("no images yet; next: shipml build")
