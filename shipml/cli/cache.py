"""`shipml cache`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from shipml.cli.console import Console
from shipml.cli.text import columns, printable
from shipml.errors import StoreError
from shipml.text import size_text

__all__ = ["info", "prune"]

_DAY_SECONDS = 86400


def info(
    console: Console,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Read every blob and compare it with its digest")] = False,
) -> None:
    """Show what the store holds and how large it is.

    Examples:
      shipml cache info
      shipml cache info --verify      after a crash or a full disk
    """
    from shipml.pipeline import Shipml

    with Shipml(emit=console.emit) as session:
        found = session.cache_info(verify=verify).to_json()
    if not console.as_json:
        console.data(_info_text(found))
    if not found["whole"]:
        error = StoreError(f"the store {found['home']} is not complete", hint="build the images again: shipml build")
        raise typer.Exit(console.fail(error, document=found))
    if console.as_json:
        console.document(found)


def prune(
    console: Console,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also remove downloads and unpacked files; the next build will be slower")
    ] = False,
    older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Only what was not used for so many days")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go")] = False,
) -> None:
    """Remove what no image needs; what `shipml images` lists stays whole.

    Examples:
      shipml cache prune
      shipml cache prune --all --dry-run
      shipml cache prune --older-than 30
    """
    from shipml.pipeline import Shipml

    older_than_seconds = None if older_than is None else older_than * _DAY_SECONDS
    with Shipml(emit=console.emit) as session:
        pruned = session.prune(everything=everything, older_than_seconds=older_than_seconds, dry_run=dry_run).to_json()
    if console.as_json:
        console.document(pruned)
        return
    if pruned["removed"]:
        console.data(_kinds(pruned["removed"]))
    console.say(f"{'would free' if dry_run else 'freed'} {size_text(pruned['freed_bytes'])}")


def _info_text(found: Mapping[str, Any]) -> str:
    broken = [f"{blob['digest']} of {blob['reference']} is missing" for blob in found["missing"]]
    broken += [f"{digest} is damaged" for digest in found["damaged"]]
    state = "; ".join(broken) or ("complete, every blob verified" if found["verified"] else "complete")
    facts = [
        ("home", found["home"]),
        ("images", f"{found['images']} ({size_text(found['needed_bytes'])})"),
        ("total", size_text(found["total_bytes"])),
        ("state", state),
    ]
    return printable("\n".join(columns(facts))) + (f"\n\n{_kinds(found['kinds'])}" if found["kinds"] else "")


def _kinds(kinds: Sequence[Mapping[str, Any]]) -> str:
    rows = [(kind["kind"], str(kind["count"]), size_text(kind["size_bytes"])) for kind in kinds]
    return "\n".join(columns([("KIND", "COUNT", "SIZE"), *rows]))
