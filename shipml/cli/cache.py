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
_WORDS = {
    "debian packages": "Debian packages",
    "documents": "manifests and configs",
    "facts": "remembered results",
    "layers": "image layers",
    "other": "other downloads",
    "trees": "unpacked files",
    "wheels": "Python packages",
    "work in progress": "unfinished work",
}
"""Kinds as the store names them → as people read them."""


def info(
    console: Console,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every blob and every unpacked file, and compare it with its digest")
    ] = False,
) -> None:
    """Show what the store holds and how large it is.

    Examples:
      shipml cache info
      shipml cache info --verify      after a crash or a full disk
    """
    from shipml.api import Shipml

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

    Without --all: images without a name, unfinished work, and downloads that were not used for 30 days. With --all: all
    downloads, unpacked files and what was remembered of them, too. `[cache] max-size` in the settings, or
    SHIPML_CACHE_MAX_SIZE, keeps the store small by itself.

    Examples:
      shipml cache prune
      shipml cache prune --all --dry-run
      shipml cache prune --older-than 30
    """
    from shipml.api import Shipml

    older_than_seconds = None if older_than is None else older_than * _DAY_SECONDS
    with Shipml(emit=console.emit) as session:
        pruned = session.prune(everything=everything, older_than_seconds=older_than_seconds, dry_run=dry_run).to_json()
        rest_bytes = 0
        if not everything:
            most = session.prune(everything=True, older_than_seconds=older_than_seconds, dry_run=True).freed_bytes
            rest_bytes = most - (pruned["freed_bytes"] if dry_run else 0)
    if console.as_json:
        console.document({**pruned, "all_would_free_bytes": rest_bytes})
        return
    if pruned["removed"]:
        console.data(_kinds(pruned["removed"]))
    console.say(f"{'would free' if dry_run else 'freed'} {size_text(pruned['freed_bytes'])}")
    if rest_bytes > 0:
        console.say(f"another {size_text(rest_bytes)} of downloads and unpacked files: shipml cache prune --all")


def _info_text(found: Mapping[str, Any]) -> str:
    broken = [f"{blob['digest']} of {blob['reference']} is missing" for blob in found["missing"]]
    broken += [f"{digest} is damaged" for digest in found["damaged"]]
    broken += [f"{path} was changed after it was unpacked" for path in found["changed"]]
    whole = "complete, every blob and every unpacked file verified"
    state = "; ".join(broken) or (whole if found["verified"] else "complete")
    facts = [
        ("home", found["home"]),
        ("images", f"{found['images']} ({size_text(found['needed_bytes'])})"),
        ("total", size_text(found["total_bytes"])),
        ("state", state),
    ]
    return printable("\n".join(columns(facts))) + (f"\n\n{_kinds(found['kinds'])}" if found["kinds"] else "")


def _kinds(kinds: Sequence[Mapping[str, Any]]) -> str:
    rows = [(_WORDS[kind["kind"]], str(kind["count"]), size_text(kind["size_bytes"])) for kind in kinds]
    return "\n".join(columns([("KIND", "COUNT", "SIZE"), *rows]))
