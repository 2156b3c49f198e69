"""`shipml build`."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shipml.cli.azure import AzureSignIn, open_azure
from shipml.cli.console import Console
from shipml.cli.github import tell_github
from shipml.cli.options import Folder, Planning, parse_environment
from shipml.cli.text import columns
from shipml.errors import BuildError, UsageError
from shipml.events import Event, OutputReceived
from shipml.text import counted, listed, seconds_text, size_text

if TYPE_CHECKING:
    from shipml.facts.request import DockerOptions
    from shipml.report import BuildReport

__all__ = ["DockerBuild", "build"]

_TO_STDOUT = ("-", "docker-archive:-")
_PANEL = "Docker builder"


@dataclass(frozen=True, slots=True)
class DockerBuild:
    """What only builders of Dockerfiles take; named as the options of `docker build`."""

    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="The Dockerfile", show_default="DIR/Dockerfile", rich_help_panel=_PANEL
        ),
    ] = None
    target: Annotated[
        str, typer.Option(metavar="STAGE", help="Build up to this stage of the Dockerfile", rich_help_panel=_PANEL)
    ] = ""
    build_arg: Annotated[
        list[str] | None,
        typer.Option(
            "--build-arg",
            metavar="NAME=VALUE",
            help="Set an ARG; NAME alone takes the value from your environment; repeatable",
            rich_help_panel=_PANEL,
        ),
    ] = None
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Reuse no step of earlier builds", rich_help_panel=_PANEL)
    ] = False
    pull: Annotated[
        bool, typer.Option("--pull", help="Ask the registry for newer base images", rich_help_panel=_PANEL)
    ] = False
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="id=ID,src=FILE",
            help="A secret for RUN --mount=type=secret; needs docker's buildx",
            rich_help_panel=_PANEL,
        ),
    ] = None
    ssh: Annotated[
        list[str] | None,
        typer.Option(
            metavar="default|ID=KEY",
            help="An ssh agent or key for RUN --mount=type=ssh; needs docker's buildx",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def options(self) -> DockerOptions:
        """As the library takes them."""
        from shipml.facts.request import DockerOptions

        return DockerOptions(
            file=self.file,
            target=self.target,
            build_arguments=tuple(parse_environment(self.build_arg or (), option="--build-arg").items()),
            no_cache=self.no_cache,
            pull=self.pull,
            secrets=tuple(self.secret or ()),
            ssh=tuple(self.ssh or ()),
        )


def build(
    console: Console,
    *,
    planning: Planning,
    docker: DockerBuild,
    azure: AzureSignIn,
    folder: Folder = Path(),
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            "-t",
            metavar="TAG|REF",
            help="Name of the image; a version, or latest, dev, int, prod, stable is a tag of its own name; repeatable",
            show_default="its name:latest",
        ),
    ] = None,
    builder: Annotated[
        Literal["auto", "embedded", "docker", "acr"], typer.Option(help="What makes the image; acr: ACR Tasks in Azure")
    ] = "auto",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="TARGET",
            help="Also write it: oci:DIR, docker-archive:FILE, or - (docker archive on stdout); repeatable",
        ),
    ] = None,
    cache_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REF",
            help="Also reuse layers of the last image in this repository; repeatable",
            show_default="the repositories of --tag",
        ),
    ] = None,
    no_cache_from: Annotated[
        bool, typer.Option("--no-cache-from", help="Take no layer from a registry's last image: make all of them here")
    ] = False,
    load: Annotated[
        bool | None,
        typer.Option(
            "--load/--no-load",
            help="Load the image into the Docker Engine (required), or do not load it",
            show_default="if one runs here",
        ),
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Do not try the program's imports in the image")] = False,
) -> None:
    """Build the image of a project folder.

    Prints the image's digest on stdout. Needs no Docker; where a Docker Engine runs, it gets the image, too. A folder
    with a Dockerfile is built with that, by the Docker Engine, and the image stays there.

    Examples:
      shipml build                                  the current folder
      shipml build ./churn -t 1.0 -t latest         named churn:1.0 and churn:latest
      shipml build --base python:3.12-slim          on an image that has Python
      shipml build --platform linux/arm64           for another kind of machine, without emulation
      shipml build --platform linux/amd64,linux/arm64    for both, under one name
      shipml build --output oci:./image             for skopeo, podman, crane
      shipml build --output - | docker load
      shipml build --builder docker --no-cache      by the Docker Engine, without its cache
      shipml build --builder acr -t mlint.azurecr.io/churn:1.0    in Azure, into that registry
      digest=$(shipml build -q)
    """
    if no_cache_from and cache_from:
        raise UsageError("--cache-from and --no-cache-from exclude each other", hint="omit one of them")

    def make(outputs: Sequence[str]) -> BuildReport:
        from shipml.cli.command import keep_flat
        from shipml.unchanged.answer import answer
        from shipml.unchanged.known import Asked

        keep_flat()
        request, emit = planning.request(folder), partial(_emit, console)
        asked = Asked(
            request,
            tuple(tag or ()),
            builder,
            load=load,
            check=not no_check,
            trust_last=not no_cache_from,
            more=bool(outputs or cache_from or docker.options().given),
        )
        if (answered := answer(asked, emit)) is not None:
            return answered
        from shipml.api import Shipml
        from shipml.unchanged.memory import remembering

        to_azure = open_azure(console, azure.options())
        with (
            remembering(asked, emit) as memory,
            Shipml(emit=memory.emit, azure=to_azure, choose=memory.listening(console.chooser)) as session,
        ):
            report = session.build(
                request,
                references=tag or (),
                builder=builder,
                outputs=outputs,
                load=load,
                docker=docker.options(),
                check=not no_check,
                cache_from=cache_from or (),
                trust_last=not no_cache_from,
            )
            memory.keep(session.store, report)
            return report

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
                "the reader of the archive stopped before its end",
                hint="see what the other command says; the image is built",
            ) from error
    console.say(str(report.digest))
    _summarise(report, console)


def _emit(console: Console, event: Event) -> None:
    """Show what happens; who wants quiet does not want what programs in a Dockerfile print."""
    if not (console.quiet and isinstance(event, OutputReceived)):
        console.emit(event)


def _show(report: BuildReport, console: Console) -> None:
    from shipml.outcome import Outcome

    tell_github(Outcome(built=report, elapsed_seconds=report.elapsed_seconds), console)
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
    _say_built(report, console)
    say_changes(report, console)


def say_changes(report: BuildReport, console: Console) -> None:
    """In CI, where nobody reads warnings, what was taken otherwise than the project says it is the last line."""
    if report.changes and os.environ.get("CI", "").lower() in ("true", "1"):
        what = counted(len(report.changes), "change")
        console.say(f"{what} of what the project asks for (--strict refuses them): {'; '.join(report.changes)}")


def _say_built(report: BuildReport, console: Console) -> None:
    base = f" on {report.base}" if report.base else ""
    console.say(
        f"built {', '.join(report.references)}: {size_text(report.size_bytes)} in "
        f"{counted(len(report.layers), 'layer')}, "
        f"{report.reused_layers} reused, for {listed(report.platforms)}{base}, "
        f"in {seconds_text(report.elapsed_seconds)}"
    )
    from shipml.oci.manifest import Platform

    if str(Platform.of_this_machine()) not in report.platforms:
        console.say(f"next: run it on a {report.platform} machine; this one is {Platform.of_this_machine()}", bold=True)
        return
    console.say(f"next: shipml run {shlex.quote(report.references[0].removesuffix(':latest'))}", bold=True)
