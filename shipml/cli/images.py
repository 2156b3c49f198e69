"""`shipml images`, `inspect`, `tag`, `pull` and `rm`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from shipml.cli.console import Console
from shipml.cli.options import ImageName, complete_images
from shipml.cli.text import columns, printable
from shipml.errors import UsageError
from shipml.text import age_text, size_text

if TYPE_CHECKING:
    from shipml.inspection import ImageSummary

__all__ = ["images", "inspect", "pull", "remove", "tag"]

_SHORT_DIGEST = 19
_TITLES = ("IMAGE", "DIGEST", "PLATFORM", "SIZE", "UNIQUE", "BUILT", "FROM")


def images(console: Console) -> None:
    """List the images in the store, newest first.

    UNIQUE is what no other image shares: removing the image and pruning frees that much.

    Examples:
      shipml images
      shipml images -q                the names only
      shipml images --json | jq '.[0].digest'
    """
    from shipml.api import Shipml

    with Shipml(emit=console.emit) as session:
        found = session.images()
    if console.as_json:
        console.document([image.to_json() for image in found])
    elif console.quiet:
        for image in found:
            console.data(printable(image.reference))
    elif found:
        console.data("\n".join(columns([_TITLES, *map(_row, found)])))
    else:
        console.say("no images yet; next: shipml build")


def _row(image: ImageSummary) -> Sequence[str]:
    from shipml.images import shown_path

    return (
        printable(image.reference),
        str(image.digest)[:_SHORT_DIGEST],
        ", ".join(map(str, image.platforms)),
        size_text(image.size_bytes),
        size_text(image.unique_bytes),
        age_text(time.time() - image.created_at_seconds),
        printable(shown_path(image.source)) if image.source else "",
    )


def remove(
    console: Console,
    *,
    image: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE...", help="Images by name or digest", autocompletion=complete_images),
    ] = None,
    all_names: Annotated[
        bool, typer.Option("--all", help="Remove every name of an image that is given by its digest")
    ] = False,
) -> None:
    """Remove images from the store.

    Removes names; `shipml cache prune` then frees what no other image needs. Images in a Docker Engine stay there.

    Examples:
      shipml rm churn:1.3 churn:1.4
      shipml rm --all sha256:3604c9b957db
      shipml rm $(shipml images -q)         all of them
    """
    from shipml.api import Shipml

    if not image:
        raise UsageError("no image is named", hint="name one: shipml rm IMAGE; see: shipml images")
    with Shipml(emit=console.emit) as session:
        done = session.remove(*image, all_names=all_names)
    if not console.as_json:
        for one in done.removed:
            console.data(printable(one.reference))
    if done.error is not None:
        raise typer.Exit(console.fail(done.error, document=done.to_json()))
    if console.as_json:
        console.document(done.to_json())
    console.say("to free their space: shipml cache prune")


def pull(
    console: Console,
    *,
    reference: Annotated[str, typer.Argument(metavar="REF", help="Image in a registry: [REGISTRY/]NAME[:TAG|@DIGEST]")],
    platform: Annotated[
        str | None, typer.Option(metavar="OS/ARCH", help="linux/amd64 or linux/arm64", show_default="this machine's")
    ] = None,
) -> None:
    """Fetch an image from a registry into the store.

    Needs no Docker. Only layers that are not here yet are fetched. `shipml run` and `shipml inspect` do the same by
    themselves for a name that begins with the host of a registry.

    Examples:
      shipml pull registry.example.org/team/churn:1.4
      shipml pull mlprod.azurecr.io/churn:1.4 --platform linux/arm64
    """
    from shipml.api import Shipml

    with Shipml(emit=console.emit) as session:
        pulled = session.pull(reference, platform=platform)
    if console.as_json:
        console.document(pulled.to_json())
    else:
        console.data(str(pulled.digest))
    console.say(f"next: shipml run {pulled.reference}", bold=True)


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
    from shipml.api import Shipml

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
    from shipml.api import Shipml

    with Shipml(emit=console.emit) as session:
        console.document(session.inspect(image).to_json())
