"""`shipml images`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from shipml.cli.console import Console
from shipml.cli.options import ImageName, complete_images
from shipml.cli.text import columns, printable
from shipml.text import size_text

__all__ = ["images", "inspect", "tag"]

_SHORT_DIGEST = 19


def images(console: Console) -> None:
    """List the images in the store, newest first.

    Examples:
      shipml images
      shipml images -q                the names only
      shipml images --json | jq '.[0].digest'
    """
    from shipml.pipeline import Shipml

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


def tag(
    console: Console,
    *,
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|DIR",
            help="An image by name or digest, or the project folder that it was built from",
            autocompletion=complete_images,
        ),
    ],
    reference: Annotated[str, typer.Argument(metavar="REF", help="The new name: [REGISTRY/]NAME[:TAG]")],
) -> None:
    """Add a name to an image, here and in the Docker Engine if it runs.

    Examples:
      shipml tag iris username/ml-docker-app
      shipml tag ./churn registry.example.org/team/churn:1.4
    """
    from shipml.pipeline import Shipml

    with Shipml(emit=console.emit) as session:
        name, digest = session.tag(image, reference)
    if console.as_json:
        console.document({"reference": str(name), "digest": str(digest)})
    else:
        console.data(str(name))


def inspect(console: Console, image: ImageName = None) -> None:
    """Show an image's digest, layers and config.

    Prints JSON with and without --json, as `docker inspect` does.

    Examples:
      shipml inspect churn
      shipml inspect                  the last image built from the current folder
      shipml inspect churn | jq -r '.layers[].source'
    """
    from shipml.pipeline import Shipml

    with Shipml(emit=console.emit) as session:
        console.document(session.inspect(image).to_json())
