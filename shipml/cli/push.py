"""`shipml push`."""

from __future__ import annotations

from typing import Annotated

import typer

from shipml.cli.console import Console
from shipml.cli.github import tell_github
from shipml.cli.options import ImageName, RegistryOwner, RegistryWord, RepositoryName, Tags
from shipml.cli.text import seconds_text

__all__ = ["push"]


def push(
    console: Console,
    *,
    image: ImageName = None,
    reference: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="Where to: REGISTRY/NAME[:TAG]", show_default="the image's own name"),
    ] = None,
    registry: RegistryWord = "",
    name: RegistryOwner = "",
    repository: RepositoryName = "",
    tag: Tags = None,
    no_smoke: Annotated[bool, typer.Option("--no-smoke", help="Push an image that was not run")] = False,
) -> None:
    """Push an image to a registry, after a smoke test of the very image that is pushed.

    An image that has passed before is not run again. It is pushed through the Docker Engine, with the credentials
    that `docker login` or `podman login` kept, or those in SHIPML_USERNAME and SHIPML_PASSWORD.

    Examples:
      shipml push iris username/ml-docker-app
      shipml push ./churn --registry registry.example.org --repository team/churn --tag 1.4 --tag latest
      shipml push username/ml-docker-app --json | jq -r .reference
    """
    from shipml.pipeline import Shipml  # noqa: PLC0415  (`--help` needs none of it)
    from shipml.registries import Destination  # noqa: PLC0415
    from shipml.summary import Outcome  # noqa: PLC0415

    destination = Destination(reference or "", registry, repository, tuple(tag or ()), name)
    with Shipml(emit=console.emit_aside) as session:
        pushed = session.push(image, destination, smoke=not no_smoke)
        tell_github(Outcome(smoke=session.last_run(pushed.digest), pushed=pushed), console)
    if console.as_json:
        console.document(pushed.to_json())
    else:
        console.data(pushed.pinned)
    names = ", ".join(str(name) for name in pushed.references)
    console.say(
        f"pushed {names} in {seconds_text(pushed.elapsed_seconds)}; smoke test: {pushed.smoke};"
        f" what arrived: {pushed.identity}",
        bold=True,
    )
