"""`shipml inspect`."""

from __future__ import annotations

from shipml.cli.console import Console
from shipml.cli.options import ImageName

__all__ = ["inspect"]


def inspect(console: Console, image: ImageName = None) -> None:
    """Show an image's digest, layers and config.

    Prints JSON with and without --json, as `docker inspect` does.

    Examples:
      shipml inspect churn
      shipml inspect                  the last image built from the current folder
      shipml inspect churn | jq -r '.layers[].source'
    """
    from shipml.pipeline import Shipml  # noqa: PLC0415  (`--help` needs none of it)

    with Shipml(emit=console.emit) as session:
        console.document(session.inspect(image))
