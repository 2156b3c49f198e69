"""`shipml plan`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shipml.cli.console import Console
from shipml.cli.options import Folder, Planning
from shipml.cli.text import columns, printable
from shipml.text import size_text

__all__ = ["command_text", "dockerfile", "plan", "plan_lines"]


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
      shipml plan --lock              write pylock.toml, so that every machine builds the same; after a build,
                                      with the digests of its layers
      shipml plan --json | jq .decisions
    """
    from shipml.api import Shipml

    request = planning.request(folder)
    with Shipml(emit=console.emit, choose=console.chooser) as session:
        written = session.lock(request) if lock else None
        planned = session.plans(request)
    if console.as_json:
        console.document({**_plans_json(planned), **({"lock": str(written)} if written else {})})
    else:
        shown = (plan_lines(plan, verbose=console.verbose, width=console.data_width) for plan in planned)
        console.data("\n\n".join("\n".join(lines) for lines in shown))
    if written:
        console.say(f"wrote {written}")


def _plans_json(plans: Sequence[Plan]) -> dict[str, Any]:
    """The plan; of several, all of them by platform."""
    if len(plans) == 1:
        return plans[0].to_json()
    return {"platforms": {str(plan.platform): plan.to_json() for plan in plans}}


def dockerfile(console: Console, *, planning: Planning, folder: Folder = Path()) -> None:
    """Print an equivalent Dockerfile that builds without shipml.

    Examples:
      shipml dockerfile > Dockerfile
      shipml dockerfile ./churn --python 3.11 | docker build -f - ./churn
    """
    from shipml.api import Shipml

    with Shipml(emit=console.emit, choose=console.chooser) as session:
        text = session.dockerfile(planning.request(folder))
    if console.as_json:
        console.document({"dockerfile": text})
    else:
        console.data(text.rstrip("\n"))


if TYPE_CHECKING:
    from shipml.facts.plan import LayerPlan, Plan


_SHOWN_MEMBERS = 4


def command_text(words: Sequence[str]) -> str:
    """A command as one would type it in a shell."""
    return shlex.join(words) or "none"


def plan_lines(plan: Plan, *, verbose: bool, width: int | None = None) -> list[str]:
    """The plan: what it is, why, and layer by layer; all members of every layer where `verbose`.

    On a terminal its words are wrapped at `width` characters.
    """
    facts = [
        ("image", plan.name),
        ("platform", str(plan.platform)),
        ("base", printable(plan.base.reference)),
        ("python", plan.base.python or plan.python),
        ("command", printable(command_text((*plan.entrypoint, *plan.command)))),
        ("user", printable(plan.user)),
    ]
    facts += [("environment", printable(f"{name}={value}")) for name, value in plan.environment]
    decisions = [(one.what, printable(f"{one.value}, because {one.because}")) for one in plan.decisions]
    sizes_bytes = _member_sizes(plan)
    return [
        *columns(facts, width=width),
        "",
        "decisions",
        *columns(decisions, indent="  ", width=width),
        "",
        f"layers ({len(plan.layers)}; sizes of what is downloaded and copied)",
        *columns([_layer_row(layer, sizes_bytes, verbose=verbose) for layer in plan.layers], indent="  ", width=width),
    ]


def _member_sizes(plan: Plan) -> dict[str, int]:
    """Bytes to download (packages, wheels) or to copy (files) for each member of the layers."""
    packages = (*plan.base.packages, *plan.base.extra_packages)
    return {
        **{f"{package.name}={package.version}": package.size_bytes for package in packages},
        **{f"{wheel.name}=={wheel.version}": wheel.size_bytes or 0 for wheel in plan.wheels},
        **{file.path: file.size_bytes for file in plan.application},
    }


def _layer_row(layer: LayerPlan, sizes_bytes: dict[str, int], *, verbose: bool) -> tuple[str, str, str]:
    shown = layer.members if verbose else layer.members[:_SHOWN_MEMBERS]
    more = len(layer.members) - len(shown)
    members = ", ".join(shown) + (f" and {more} more" if more else "")
    size_bytes = sum(sizes_bytes.get(member, 0) for member in layer.members)
    return layer.kind, size_text(size_bytes).rjust(8), printable(members)
