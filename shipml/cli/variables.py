"""Variables for the program in the image: `--env` and `--env-file`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from shipml.cli.options import parse_environment
from shipml.errors import UsageError

__all__ = ["Variables", "read_env_file"]


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables that the program gets while it is run here; none of them gets into the image."""

    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME=VALUE",
            help="Set a variable for the run, never in the image; NAME alone passes on your own; repeatable",
            rich_help_panel="Smoke test",
        ),
    ] = None
    env_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            help="Set the variables of a file, one NAME=VALUE a line; repeatable",
            rich_help_panel="Smoke test",
        ),
    ] = None

    def environment(self) -> dict[str, str]:
        """Name → value; what was typed wins over files, a later file over an earlier one.

        Raises:
            UsageError: an item or a line has another form, or a file cannot be read.
        """
        found: dict[str, str] = {}
        for path in self.env_file or ():
            found.update(read_env_file(path))
        return {**found, **parse_environment(self.env or ())}


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file as python-dotenv and Docker write it: comments, `export`, and quotes around a value.

    Raises:
        UsageError: it cannot be read, or a line has another form; the value is not shown.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}",
            hint="name a text file with one NAME=VALUE a line: --env-file FILE",
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        item = line.strip()
        if not item or item.startswith("#"):
            continue
        name, equals, value = item.removeprefix("export ").partition("=")
        try:
            found.update(parse_environment([f"{name.strip()}{equals}{_unquoted(value.strip())}"]))
        except UsageError as error:
            raise UsageError(
                f"line {number} of {path} does not set a variable", hint="write NAME=VALUE, or NAME to pass on your own"
            ) from error
    return found


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value
