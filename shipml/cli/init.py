"""`shipml init`: a project to start from, the same as `example_project`."""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from shipml.cli.console import Console
from shipml.cli.options import Folder
from shipml.errors import UsageError

__all__ = ["TEMPLATES", "init"]

TEMPLATES = (
    "requirements.txt",
    "app.py",
    "train.py",
    "preprocessing.py",
    "predict.py",
    "shipml.toml",
    ".dockerignore",
)
"""Files of `example_project` that a new project gets."""


def init(
    console: Console,
    *,
    folder: Folder = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist")] = False,
) -> None:
    """Start a project: requirements, a model that trains, a smoke test.

    Files that exist are never touched without --force.

    Examples:
      shipml init                  in the current folder
      shipml init ./churn          in a new folder
      shipml init ./churn --force  start over
    """
    existing = [name for name in TEMPLATES if (folder / name).exists() or (folder / name).is_symlink()]
    if existing and not force:
        raise UsageError(
            f"{folder} already has {', '.join(existing)}; nothing was written",
            hint=f"choose a new folder, or overwrite: shipml init {shlex.quote(str(folder))} --force",
        )
    source = resources.files("shipml.cli") / "templates"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in TEMPLATES:
            if (folder / name).is_symlink():
                (folder / name).unlink()  # what it points to may lie outside the project
            (folder / name).write_bytes((source / name).read_bytes())
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}", hint="choose another folder") from error
    if console.as_json:
        console.document({"folder": str(folder.resolve()), "files": list(TEMPLATES)})
    else:
        for name in TEMPLATES:
            console.data(str(folder / name))
    console.say(f"next: shipml build {shlex.quote(str(folder))}", bold=True)
