"""What stays open until somebody ends it: the server of an image, kept up on this machine, or a shell in an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shipml.api import Shipml
from shipml.bases.busybox import TOOLS_FOLDER, busybox_tree
from shipml.build.choose import EMBEDDED
from shipml.build.watch import ProjectWatcher
from shipml.errors import UnavailableError
from shipml.images import image_in_store, newest_on_engine
from shipml.oci.image import Image
from shipml.runtimes.serve import ServeOptions
from shipml.runtimes.serve import serve as serve_image
from shipml.runtimes.shell import ShellOptions, Tools
from shipml.runtimes.shell import open_shell as open_shell_in

__all__ = ["ServeOptions", "ShellOptions", "open_shell", "serve", "serve_and_watch"]

Ready = Callable[[str, Image], None]


def serve(shipml: Shipml, target: str | None, options: ServeOptions, ready: Ready) -> None:
    """Keep the program of an image up until it ends, or KeyboardInterrupt.

    Args:
        shipml: the session.
        target: as for `Shipml.run`.
        options: where and how.
        ready: hears the URL once the program takes connections.

    Raises:
        ShipmlError: as its class says.
    """
    image = image_in_store(shipml.session, target, newest_on_engine(shipml.store, target))
    serve_image(shipml.session, image, options, ready)


def serve_and_watch(shipml: Shipml, folder: Path, options: ServeOptions, ready: Ready) -> None:
    """Build a folder and serve it, and again whenever its files change, until KeyboardInterrupt; else as `serve`."""

    def build() -> Image:
        report = shipml.build(folder, load=False)
        if report.builder != EMBEDDED:
            raise UnavailableError(
                "only what shipml itself builds can be watched", hint="serve it without --watch after each build"
            )
        return shipml.store.image(report.digest)

    watcher = ProjectWatcher(folder, build, shipml.session.emit)
    serve_image(shipml.session, build(), options, ready, watcher)


def open_shell(shipml: Shipml, target: str | None, options: ShellOptions) -> int:
    """Run a shell, or a command, in the sandbox of an image until it ends; its exit code.

    Raises:
        ShipmlError: as its class says.
    """
    image = image_in_store(shipml.session, target, newest_on_engine(shipml.store, target))
    tools = Tools(busybox_tree(shipml.session), TOOLS_FOLDER)
    return open_shell_in(shipml.session, image, tools, options)
