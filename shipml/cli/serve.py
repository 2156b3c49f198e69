"""`shipml serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shipml.cli.console import Console
from shipml.cli.options import ImageName
from shipml.cli.variables import Variables
from shipml.errors import UsageError

if TYPE_CHECKING:
    from shipml.oci.image import Image

__all__ = ["serve"]


def serve(
    console: Console,
    *,
    variables: Variables,
    image: ImageName = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            min=1,
            max=65535,
            metavar="PORT",
            help="Port of this machine",
            show_default="the program's own, or a free one",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Build the folder, and again whenever its files change")
    ] = False,
    network: Annotated[bool, typer.Option("--network", help="Let the program reach the network")] = False,
    runtime: Annotated[Literal["auto", "sandbox", "docker"], typer.Option(help="What runs the image")] = "auto",
) -> None:
    """Keep an image's server up on this machine, at a port of 127.0.0.1, until Ctrl-C.

    Prints the URL once the program takes connections; what it writes goes to stderr. With --watch, a new image takes
    the place of the old one when it is up; where it cannot be built or started, the old one stays.

    Examples:
      shipml serve                    the last image built from the current folder
      shipml serve churn -p 9000 -e MODEL_DIR=/app/models
      shipml serve ./churn --watch
    """
    from shipml.api import Shipml
    from shipml.live import ServeOptions, serve_and_watch
    from shipml.live import serve as serve_image

    def ready(url: str, served: Image) -> None:
        if console.as_json:
            console.document({"url": url, "digest": str(served.digest)})
        else:
            console.data(url)
        console.say("serving; Ctrl-C ends it")

    options = ServeOptions(port, runtime, variables.environment(), network)
    with Shipml(emit=console.emit_aside, choose=console.chooser) as session:
        try:
            if watch:
                serve_and_watch(session, _folder(image), options, ready)
            else:
                serve_image(session, image, options, ready)
        except KeyboardInterrupt:
            console.say("stopped")


def _folder(target: str | None) -> Path:
    folder = Path(target or ".")
    if not folder.is_dir():
        raise UsageError(f"{target} is not a folder, and only a folder can be watched", hint="shipml serve DIR --watch")
    return folder
