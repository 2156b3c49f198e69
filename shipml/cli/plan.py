"""`shipml plan`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shipml.cli.console import Console
from shipml.cli.options import Folder, Planning
from shipml.cli.plan_text import plan_lines

__all__ = ["plan"]


def plan(
    console: Console,
    *,
    planning: Planning,
    folder: Folder = Path(),
    lock: Annotated[
        bool, typer.Option("--lock", help="Write the resolution to pylock.toml in the project", rich_help_panel="Lock")
    ] = False,
) -> None:
    """Show what would be built, and why each choice was made; nothing is built.

    Examples:
      shipml plan                     the current folder
      shipml plan ./churn --python 3.11
      shipml plan --lock              write pylock.toml, so that every machine builds the same
      shipml plan --json | jq .decisions
    """
    from shipml.pipeline import PlanRequest, Shipml  # noqa: PLC0415  (`--help` needs none of it)

    request = PlanRequest(folder=folder, **asdict(planning))
    with Shipml(emit=console.emit) as session:
        written = session.lock(request) if lock else None
        planned = session.plan(request)
    if console.as_json:
        console.document({**planned.to_json(), **({"lock": str(written)} if written else {})})
    else:
        console.data("\n".join(plan_lines(planned, verbose=console.verbose)))
    if written:
        console.say(f"wrote {written}")
