"""`shipml shell`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from shipml.cli.console import Console
from shipml.cli.options import ImageName
from shipml.cli.run import COMMAND
from shipml.cli.variables import Variables

__all__ = ["shell"]


def shell(
    console: Console,
    *,
    context: typer.Context,
    variables: Variables,
    image: ImageName = None,
    network: Annotated[bool, typer.Option("--network", help="Let the shell reach the network")] = False,
) -> None:
    """Look around in an image: a shell in its sandbox, as its user, with tools that the image need not have.

    The tools are Debian's static busybox, at /.shipml, fetched once. The image is not changed: what is written is gone
    when the shell ends. A command after `--` runs instead; its exit code is that of `shipml shell`.

    Examples:
      shipml shell churn
      shipml shell churn -- ls -l /app
      shipml shell churn -- sh -c 'du -sh /opt/venv/lib/python3*/site-packages/* | sort -h | tail'
    """
    from shipml.api import Shipml
    from shipml.cli.terminal import on_terminal
    from shipml.live import ShellOptions, open_shell

    command: tuple[str, ...] = context.meta.get(COMMAND, ())
    environment = variables.environment()
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if is_terminal:
        environment = {"TERM": os.environ.get("TERM", "xterm"), **environment}
    with Shipml(emit=console.emit_aside) as session:

        def run(pipes: tuple[int, int]) -> int:
            wanted = ShellOptions(pipes, is_terminal, command, environment, network)
            return open_shell(session, image, wanted)

        code = on_terminal(run) if is_terminal else _on_pipes(run)
    raise typer.Exit(code)


def _on_pipes(run: Callable[[tuple[int, int]], int]) -> int:
    """With our own input and output."""
    sys.stdout.flush()
    ends = (os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno()))
    try:
        return run(ends)
    finally:
        for end in ends:
            os.close(end)
