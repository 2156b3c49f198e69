"""`shipml dockerfile`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from shipml.cli.console import Console
from shipml.cli.options import Folder, Planning

__all__ = ["dockerfile"]


def dockerfile(console: Console, *, planning: Planning, folder: Folder = Path()) -> None:
    """Print an equivalent Dockerfile that builds without shipml.

    Examples:
      shipml dockerfile > Dockerfile
      shipml dockerfile ./churn --python 3.11 | docker build -f - ./churn
    """
    from shipml.pipeline import PlanRequest, Shipml  # noqa: PLC0415  (`--help` needs none of it)

    with Shipml(emit=console.emit) as session:
        text = session.dockerfile(PlanRequest(folder=folder, **asdict(planning)))
    if console.as_json:
        console.document({"dockerfile": text})
    else:
        console.data(text.rstrip("\n"))
