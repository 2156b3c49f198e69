"""`shipml build`."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shipml.cli.console import Console
from shipml.cli.options import Folder, Planning
from shipml.cli.text import columns, seconds_text, size_text
from shipml.errors import BuildError, UsageError

if TYPE_CHECKING:
    from shipml.report import BuildReport

__all__ = ["build"]

_TO_STDOUT = ("-", "docker-archive:-")


def build(
    console: Console,
    *,
    planning: Planning,
    folder: Folder = Path(),
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", "-t", metavar="REF", help="Name of the image; repeatable", show_default="its name:latest"
        ),
    ] = None,
    builder: Annotated[Literal["auto", "embedded"], typer.Option(help="What makes the image")] = "auto",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="TARGET",
            help="Also write it: oci:DIR, docker-archive:FILE, or - (docker archive on stdout); repeatable",
        ),
    ] = None,
    no_load: Annotated[
        bool, typer.Option("--no-load", help="Do not put the image into the Docker Engine that runs here")
    ] = False,
) -> None:
    """Build the image of a project folder.

    Prints the image's digest on stdout. Needs no Docker; where a Docker Engine runs, it gets the image, too.

    Examples:
      shipml build                                  the current folder
      shipml build ./churn -t churn:1.0 -t churn:latest
      shipml build --platform linux/arm64           for another kind of machine, without emulation
      shipml build --output oci:./image             for skopeo, podman, crane
      shipml build --output - | docker load
      digest=$(shipml build -q)
    """

    def make(outputs: Sequence[str]) -> BuildReport:
        from shipml.pipeline import PlanRequest, Shipml  # noqa: PLC0415  (`--help` needs none of it)

        request = PlanRequest(folder=folder, **asdict(planning))
        with Shipml(emit=console.emit) as session:
            return session.build(request, references=tag or (), builder=builder, outputs=outputs, load=not no_load)

    to_stdout = [target for target in output or () if target in _TO_STDOUT]
    others = [target for target in output or () if target not in _TO_STDOUT]
    if not to_stdout:
        _show(make(others), console)
        return
    if len(to_stdout) > 1 or console.as_json:
        other = "--json" if console.as_json else "a second archive"
        raise UsageError(f"an archive and {other} cannot both go to stdout", hint="use --output docker-archive:FILE")
    with tempfile.TemporaryDirectory(prefix="shipml-") as temporary:
        archive = Path(temporary) / "image.tar"
        report = make([*others, f"docker-archive:{archive}"])
        try:
            with archive.open("rb") as stream:
                console.copy_binary(stream)
        except BrokenPipeError as error:
            raise BuildError(
                "the reader of the archive went away before its end",
                hint="see what the other command says; the image is built",
            ) from error
    console.say(str(report.digest))
    _summarise(report, console)


def _show(report: BuildReport, console: Console) -> None:
    if console.as_json:
        console.document(report.to_json())
    else:
        _summarise_layers(report, console)
        console.data(str(report.digest))
    _summarise(report, console)


def _summarise_layers(report: BuildReport, console: Console) -> None:
    for line in columns([(one.what, f"{one.value}, because {one.because}") for one in report.decisions]):
        console.detail(line)
    for line in columns(
        [
            (layer.kind, size_text(layer.size_bytes).rjust(8), "reused" if layer.reused else "new", layer.source)
            for layer in report.layers
        ]
    ):
        console.detail(line)


def _summarise(report: BuildReport, console: Console) -> None:
    console.say(
        f"built {', '.join(report.references)}: {size_text(report.size_bytes)} in {len(report.layers)} layers, "
        f"{report.reused_layers} reused, for {report.platform} on {report.base}, "
        f"in {seconds_text(report.elapsed_seconds)}"
    )
    from shipml.oci.manifest import Platform  # noqa: PLC0415  (`--help` needs none of it)

    if report.platform != str(Platform.of_this_machine()):
        console.say(f"next: run it on {report.platform}; this machine is {Platform.of_this_machine()}", bold=True)
        return
    console.say(f"next: shipml run {shlex.quote(report.references[0].removesuffix(':latest'))}", bold=True)
