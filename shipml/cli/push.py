"""`shipml push`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shipml.cli.azure import (
    AzureRegistry,
    AzureSignIn,
    azure_to_push,
    open_azure,
)
from shipml.cli.console import Console
from shipml.cli.github import tell_github
from shipml.cli.options import (
    Account,
    ImageName,
    NoOverwrite,
    RegistryWord,
    RepositoryName,
    Tags,
)
from shipml.cli.variables import Variables
from shipml.text import seconds_text, size_text

if TYPE_CHECKING:
    from shipml.publish.pushed import Pushed

__all__ = ["push"]


def push(
    console: Console,
    *,
    azure: AzureSignIn,
    new: AzureRegistry,
    account: Account,
    variables: Variables,
    image: ImageName = None,
    reference: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="Where to: REGISTRY/NAME[:TAG]", show_default="the image's own name"),
    ] = None,
    registry: RegistryWord = "",
    repository: RepositoryName = "",
    tag: Tags = None,
    no_overwrite: NoOverwrite = False,
    no_smoke: Annotated[bool, typer.Option("--no-smoke", help="Push an image that was not run")] = False,
    via: Annotated[
        Literal["auto", "client", "engine"],
        typer.Option(
            help="What pushes: shipml itself, or the Docker Engine; auto: Docker only for images that it alone has"
        ),
    ] = "auto",
) -> None:
    """Push an image once it has passed its smoke test.

    An image that has passed before is not run again. No Docker Engine is needed: only what the registry lacks is
    sent, with the credentials that `shipml login`, `docker login` or `podman login` kept, or those in SHIPML_USERNAME
    and SHIPML_PASSWORD; Azure registries use your Azure sign-in, such as that of `az login`.
    IMAGE may be oci:DIR or docker-archive:FILE, or an image that only Docker has, which then pushes it. A folder is
    pushed as it is now: where files have changed since its build, that is an error; `shipml ship` builds first.

    Examples:
      shipml push iris username/ml-docker-app
      shipml push ./churn --registry registry.example.org --repository team/churn --tag 1.4 --tag latest
      shipml push oci:./image registry.example.org/team/churn:1.4
      shipml push ./churn --registry acr --account mlprod
      shipml push username/ml-docker-app --json | jq -r .reference
    """
    from shipml.api import Shipml
    from shipml.outcome import Outcome
    from shipml.publish.destination import Destination

    destination = Destination(
        reference or "", registry, repository, tuple(tag or ()), account.given(console), no_overwrite
    )
    to_azure = open_azure(console, azure_to_push(azure, new, registry))
    with Shipml(emit=console.emit_aside, azure=to_azure, choose=console.chooser) as session:
        pushed = session.push(image, destination, smoke=not no_smoke, via=via, environment=variables.environment())
        smoke = session.last_run(pushed.digest)
        tell_github(Outcome(smoke=smoke.to_json() if smoke else None, pushed=pushed), console)
    if console.as_json:
        console.document(pushed.to_json())
    else:
        console.data(pushed.pinned)
    names = ", ".join(str(name) for name in pushed.references)
    amounts = f"; {sent}" if (sent := _amounts(pushed)) else ""
    console.say(
        f"pushed {names} in {seconds_text(pushed.elapsed_seconds)}{amounts}; smoke test: {pushed.smoke};"
        f" digest check: {pushed.identity}",
        bold=True,
    )


def _amounts(pushed: Pushed) -> str:
    """`1.2 MB uploaded, 80 MB there already`; "" where nobody counted."""
    parts = {
        "uploaded": pushed.uploaded_bytes,
        "mounted": pushed.mounted_bytes,
        "there already": pushed.skipped_bytes,
    }
    return ", ".join(f"{size_text(size)} {what}" for what, size in parts.items() if size)
