"""`shipml promote`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shipml.cli.azure import AzureSignIn, open_azure
from shipml.cli.console import Console
from shipml.cli.options import NoOverwrite
from shipml.errors import UsageError
from shipml.text import seconds_text, size_text

if TYPE_CHECKING:
    from shipml.publish.promotion import Promoted

__all__ = ["promote"]


def promote(
    console: Console,
    *,
    azure: AzureSignIn,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="What to promote: REGISTRY/NAME[:TAG|@DIGEST]; with --from also NAME:TAG, TAG or a digest",
            show_default="what the settings say of --from",
        ),
    ] = "",
    origin: Annotated[str, typer.Option("--from", metavar="ENV", help="The environment that it comes from")] = "",
    target: Annotated[
        str,
        typer.Option("--to", metavar="ENV|REF", help="The environment that gets it, or REGISTRY/NAME[:TAG]"),
    ] = "",
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="TAG|REF",
            help="Tag there, or HOST/NAME:TAG instead of --to; repeatable",
            show_default="the environment's, or the same",
        ),
    ] = None,
    no_overwrite: NoOverwrite = False,
    no_smoke: Annotated[bool, typer.Option("--no-smoke", help="Promote an image that was never run")] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Put back what --to had before its last promotion from this machine")
    ] = False,
) -> None:
    """Copy an image from one environment to another by digest; nothing is rebuilt.

    Environments are defined in the settings, such as [environments.dev] and [environments.prod]. The bytes come by the
    shortest way: inside Azure, inside one registry, or through this machine, without what is there already. An image
    that never passed its smoke test here is fetched and run first.

    Examples:
      shipml promote 1.4 --from int --to prod
      shipml promote r.example.org/int/churn:1.4 --to r.example.org/prod/churn:stable
      shipml promote --rollback --to prod
    """
    from shipml.api import Shipml
    from shipml.publish.destination import Destination

    if any("/" in word or ":" in word for word in tag or ()):
        split = Destination(target, tags=tuple(tag or ())).with_tags_split()
        target, tag = split.reference, list(split.tags)
    if not target:
        raise UsageError("--to is missing: which environment gets the image?", hint="add it: --to prod")
    if rollback and origin:
        raise UsageError("--rollback and --from cannot be combined", hint="omit --from")
    with Shipml(emit=console.emit_aside, azure=open_azure(console, azure.options())) as session:
        done = session.promote(
            reference,
            target,
            origin=origin,
            tags=tag or (),
            smoke=not no_smoke,
            rollback=rollback,
            no_overwrite=no_overwrite,
        )
    if console.as_json:
        console.document(done.to_json())
    else:
        console.data(done.pinned)
    _summarise(done, console)


def _summarise(done: Promoted, console: Console) -> None:
    names = ", ".join(str(reference) for reference in done.references)
    amounts = {"uploaded": done.uploaded_bytes, "mounted": done.mounted_bytes}
    moved = "".join(f", {size_text(size)} {what}" for what, size in amounts.items() if size)
    console.say(f"before: {done.before or 'nothing'}")
    console.say(f"now:    {done.digest}")
    if done.way == "rollback":
        console.say(f"put back {names}", bold=True)
        return
    console.say(
        f"promoted {done.source} to {names} ({done.way}{moved}) in {seconds_text(done.elapsed_seconds)};"
        f" smoke test: {done.smoke}",
        bold=True,
    )
    if done.way_back:
        console.say(f"back: {done.way_back}")
