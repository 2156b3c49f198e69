"""`shipml run`."""

from __future__ import annotations

import dataclasses
import os
import shlex
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shipml.cli.checks import Checks
from shipml.cli.command import Command
from shipml.cli.console import Console
from shipml.cli.options import (
    ImageName,
    memory_bytes,
    parse_ports,
)
from shipml.cli.variables import Variables
from shipml.errors import SmokeTestError, UsageError
from shipml.text import seconds_text

if TYPE_CHECKING:
    from typer._click import Context

    from shipml.facts.plan import SmokeCheck
    from shipml.runtimes.base import SmokeResult

__all__ = ["COMMAND", "RunCommand", "run"]

COMMAND = "shipml.command"
"""Where the context keeps what follows `--`."""


class RunCommand(Command):
    """Takes what follows `--` as the command to run in the image, options and all."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Cut the command line at the first `--`."""
        if "--" in args:
            cut = args.index("--")
            ctx.meta[COMMAND] = tuple(args[cut + 1 :])
            args = args[:cut]
        ctx.allow_extra_args = True  # they are an error with a hint of its own: see `run`
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """As `--help` shows it."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def run(
    console: Console,
    *,
    context: typer.Context,
    checks: Checks,
    variables: Variables,
    image: ImageName = None,
    runtime: Annotated[Literal["auto", "sandbox", "docker"], typer.Option(help="What runs the image")] = "auto",
    network: Annotated[bool, typer.Option("--network", help="Let the program reach the network")] = False,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory limit, such as 512m or 2g", show_default="none")
    ] = None,
    shm_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Size of /dev/shm, such as 1g", show_default="64m, as docker's")
    ] = None,
    cpus: Annotated[float | None, typer.Option(min=0.01, help="Limit of CPU time, in CPUs (docker)")] = None,
    gpus: Annotated[str, typer.Option(metavar="GPUS", help="all, a number, or device=0,1 (docker)")] = "",
    volume: Annotated[
        list[str] | None,
        typer.Option("--volume", metavar="FROM:TO", help="Mount a folder of this machine; repeatable (docker)"),
    ] = None,
    publish: Annotated[
        list[str] | None,
        typer.Option(
            "--publish",
            "-p",
            metavar="[HOST_PORT:]CONTAINER_PORT",
            help="Publish a port of the program on 127.0.0.1; repeatable (docker)",
        ),
    ] = None,
) -> None:
    """Smoke test: run the image's own command, show its output and judge it.

    Passes by exit code and by what [smoke] in the project's settings demands. A command after `--` runs instead of the
    image's own, and then only the options given here are demanded.

    Examples:
      shipml run                                    the last image built from the current folder
      shipml run churn --minimum accuracy=0.9
      shipml run churn --memory 512m --timeout 60
      shipml run churn --predict /predict --data '{"age": 41}' --answer '{"churn": true}'
      shipml run churn -- python predict.py 5.1 3.5 1.4 0.2
      shipml run churn --json | jq .measures
    """
    from shipml.api import Shipml

    if context.args:
        words = shlex.join(context.args)
        raise UsageError(
            f"a command for the image goes after --: {words}",
            hint=f"shipml run {shlex.quote(image or '')} -- {words}",
        )
    command: tuple[str, ...] = context.meta.get(COMMAND, ())
    demands = checks.demands() | ({"network": True} if network else {})

    def adjust(settings: SmokeCheck) -> SmokeCheck:
        """The check with what was typed: a command of one's own is not judged by the settings of another."""
        names = tuple(name for name in settings.env if name in os.environ)
        base = type(settings)(command=command, env=names) if command else settings
        return dataclasses.replace(base, **demands)

    with Shipml(emit=console.emit) as session:
        result = session.run(
            image,
            runtime=runtime,
            adjust=adjust,
            environment=variables.environment(),
            memory_bytes=memory_bytes(memory) if memory else None,
            shared_memory_bytes=memory_bytes(shm_size, "--shm-size") if shm_size else None,
            cpus=cpus,
            gpus=gpus,
            volumes=volume or (),
            ports=parse_ports(publish or ()),
        )
    _show(result, image, console)


def _show(result: SmokeResult, image: str | None, console: Console) -> None:
    # The reason tells of those that were demanded.
    measures = [f"{name} {value:g}" for name, value in result.measures.items() if name not in result.demanded]
    facts = ", ".join([*measures, f"{seconds_text(result.elapsed_seconds)} in the {result.runtime}"])
    if not result.passed:
        error = SmokeTestError(
            f"{image or 'the image'} failed its smoke test: {result.because} ({facts})",
            hint=result.hint,
        )
        raise typer.Exit(console.fail(error, document=result.to_json()))
    if console.as_json:
        console.document(result.to_json())
    console.say(f"passed: {result.because} ({facts})", bold=True)
