"""`shipml tag`."""

from __future__ import annotations

from typing import Annotated

import typer

from shipml.cli.console import Console
from shipml.cli.options import complete_images

__all__ = ["tag"]


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
    """Give an image one more name, here and in the Docker Engine where there is one.

    Examples:
      shipml tag iris username/ml-docker-app
      shipml tag ./churn registry.example.org/team/churn:1.4
    """
    from shipml.pipeline import Shipml  # noqa: PLC0415  (`--help` needs none of it)

    with Shipml(emit=console.emit) as session:
        name, digest = session.tag(image, reference)
    if console.as_json:
        console.document({"reference": str(name), "digest": str(digest)})
    else:
        console.data(str(name))
