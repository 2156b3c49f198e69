"""A plan and an image as text for people. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shipml.cli.text import columns, printable, size_text

if TYPE_CHECKING:
    from shipml.plan.model import LayerPlan, Plan

__all__ = ["command_text", "plan_lines"]

_SHOWN_MEMBERS = 4


def command_text(words: Sequence[str]) -> str:
    """A command as one would type it in a shell."""
    return shlex.join(words) or "none"


def plan_lines(plan: Plan, *, verbose: bool) -> list[str]:
    """The plan: what it is, why, and layer by layer; all members of every layer where `verbose`."""
    facts = [
        ("image", plan.name),
        ("platform", str(plan.platform)),
        ("base", plan.base.reference),
        ("python", plan.base.python or plan.python),
        ("command", command_text((*plan.entrypoint, *plan.command))),
        ("user", plan.user),
    ]
    facts += [("environment", f"{name}={value}") for name, value in plan.environment]
    decisions = [(one.what, f"{one.value}, because {one.because}") for one in plan.decisions]
    sizes_bytes = _member_sizes(plan)
    lines = [
        *columns(facts),
        "",
        "decisions",
        *columns(decisions, indent="  "),
        "",
        f"layers ({len(plan.layers)})",
        *columns([_layer_row(layer, sizes_bytes, verbose=verbose) for layer in plan.layers], indent="  "),
    ]
    return [printable(line) for line in lines]


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
    return layer.kind, size_text(size_bytes).rjust(8), members
