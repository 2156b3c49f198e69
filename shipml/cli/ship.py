"""`shipml ship`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shipml.cli.azure import (
    AzureRegistry,
    AzureSignIn,
    azure_to_push,
    open_azure,
)
from shipml.cli.build import DockerBuild, say_changes
from shipml.cli.console import Console
from shipml.cli.github import tell_github
from shipml.cli.options import (
    Account,
    Choices,
    Folder,
    NoOverwrite,
    RegistryWord,
    RepositoryName,
    Tags,
)
from shipml.cli.variables import Variables
from shipml.text import counted, seconds_text, size_text

if TYPE_CHECKING:
    from shipml.outcome import Outcome

__all__ = ["ship"]


def ship(
    console: Console,
    *,
    choices: Choices,
    azure: AzureSignIn,
    new: AzureRegistry,
    account: Account,
    docker: DockerBuild,
    variables: Variables,
    folder: Folder = Path(),
    registry: RegistryWord = "",
    repository: RepositoryName = "",
    tag: Tags = None,
    builder: Annotated[Literal["auto", "embedded", "docker"], typer.Option(help="What makes the image")] = "auto",
    no_cache_from: Annotated[
        bool, typer.Option("--no-cache-from", help="Take no layer from a registry's last image: make all of them here")
    ] = False,
    no_overwrite: NoOverwrite = False,
    no_smoke: Annotated[bool, typer.Option("--no-smoke", help="Push an image that was not run")] = False,
) -> None:
    """Build, run, push: from a project folder to a registry in one command, stopping at the first that fails.

    Does what `shipml build`, `shipml run` and `shipml push` do, and prints what to deploy. In GitHub Actions the job
    gets a summary, and the step outputs: digest, reference, size_bytes, and each measure of the smoke test, such as
    accuracy.

    Examples:
      shipml ship --registry registry.example.org
      shipml ship ./churn --registry hub --account team --tag 1.4 --tag latest
      image=$(shipml ship -q)               where the settings have one [registries.NAME]
    """
    from shipml.api import Shipml
    from shipml.cli.command import keep_flat
    from shipml.publish.destination import Destination

    keep_flat()
    request = choices.request(folder)
    destination = Destination("", registry, repository, tuple(tag or ()), account.given(console), no_overwrite)
    to_azure = open_azure(console, azure_to_push(azure, new, registry))
    with Shipml(emit=console.emit_aside, azure=to_azure, choose=console.chooser) as session:
        outcome = session.ship(
            request,
            destination,
            smoke=not no_smoke,
            builder=builder,
            docker=docker.options(),
            environment=variables.environment(),
            trust_last=not no_cache_from,
        )
    tell_github(outcome, console)
    if console.as_json:
        console.document(outcome.to_json())
    elif outcome.pushed is not None:
        console.data(outcome.pushed.pinned)
    _summarise(outcome, console)


def _summarise(outcome: Outcome, console: Console) -> None:
    built, pushed = outcome.built, outcome.pushed
    if built is None or pushed is None:
        return
    measures = "".join(f", {name} {value:g}" for name, value in outcome.measures.items())
    console.say(
        f"shipped {', '.join(str(reference) for reference in pushed.references)}: {size_text(built.size_bytes)} in"
        f" {counted(len(built.layers), 'layer')}, {built.reused_layers} reused; smoke test: {pushed.smoke}{measures};"
        f" in {seconds_text(outcome.elapsed_seconds)}",
        bold=True,
    )
    say_changes(built, console)
