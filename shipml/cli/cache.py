"""`shipml cache`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from shipml.cli.console import Console
from shipml.cli.text import columns, printable, size_text

__all__ = ["info", "prune"]


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
    from shipml.pipeline import Shipml  # noqa: PLC0415  (`--help` needs none of it)

    _show(Shipml(emit=console.emit).cache_info(verify=verify), console)


def prune(console: Console) -> None:
    """Remove what no image needs; layers and packages of images in `shipml images` stay.

    Examples:
      shipml cache prune
    """
    from shipml.pipeline import Shipml  # noqa: PLC0415  (`--help` needs none of it)

    _show(Shipml(emit=console.emit).prune(), console)


def _show(facts: Mapping[str, Any], console: Console) -> None:
    if console.as_json:
        console.document(facts)
        return
    rows = []
    for name, value in facts.items():
        if isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value)) or "none"  # noqa: PLW2901
        text = size_text(value) if name.endswith("_bytes") else str(value)
        rows.append((name.removesuffix("_bytes").replace("_", " "), printable(text)))
    console.data("\n".join(columns(rows)))
