"""The typer app: which commands there are, and what happens around them."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from shipml.cli import (
    build,
    cache,
    images,
    init,
    login,
    plan,
    promote,
    push,
    serve,
    shell,
    ship,
    version,
)
from shipml.cli import run as run_command
from shipml.cli.command import Group, add_command
from shipml.cli.console import Console
from shipml.errors import UsageError

__all__ = ["app", "run"]

app = typer.Typer(
    name="shipml",
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`shipml COMMAND --help` has every option, with examples",
)
_cache_app = typer.Typer(
    cls=Group, rich_markup_mode=None, invoke_without_command=True, help="Show or clean shipml's store", epilog=""
)


@app.callback()
def _shipml(
    context: typer.Context,
    *,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit")] = False,
) -> None:
    """From an ML project folder to a small, reproducible, tested image."""
    if show_version:
        Console().data(version.version_text())
        raise typer.Exit
    _help_without_command(context)


@_cache_app.callback()
def _cache(context: typer.Context) -> None:
    _help_without_command(context)


def _help_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        Console().data(context.get_help())
        raise typer.Exit


_START, _MAKE, _SHIP, _SEE = "Start", "Make an image", "Publish", "Inspect and clean up"
add_command(app, init.init, "init", panel=_START)
add_command(app, plan.plan, "plan", panel=_MAKE)
add_command(app, build.build, "build", panel=_MAKE)
add_command(app, run_command.run, "run", panel=_MAKE, cls=run_command.RunCommand)
add_command(app, serve.serve, "serve", panel=_MAKE)
add_command(app, shell.shell, "shell", panel=_MAKE, cls=run_command.RunCommand)
add_command(app, plan.dockerfile, "dockerfile", panel=_MAKE)
add_command(app, login.login, "login", panel=_SHIP)
add_command(app, login.logout, "logout", panel=_SHIP)
add_command(app, images.tag, "tag", panel=_SHIP)
add_command(app, push.push, "push", panel=_SHIP)
add_command(app, ship.ship, "ship", panel=_SHIP)
add_command(app, promote.promote, "promote", panel=_SHIP)
add_command(app, images.images, "images", panel=_SEE)
add_command(app, images.pull, "pull", panel=_SEE)
add_command(app, images.remove, "rm", panel=_SEE)
add_command(app, images.inspect, "inspect", panel=_SEE)
app.add_typer(_cache_app, name="cache", rich_help_panel=_SEE)
add_command(_cache_app, cache.info, "info")
add_command(_cache_app, cache.prune, "prune")
add_command(app, version.version, "version", panel=_SEE)

_SUGGESTION = re.compile(r" (?:Did you mean |\(Possible options: )(.*?)[?)]")


_OTHER_WAYS = {
    ("build", "--push"): "build does not push; build, test and push: shipml ship",
    ("push", "--all-tags"): "name each: --tag 1.4 --tag latest",
    ("run", "--rm"): "omit it: nothing is left after a run",
    ("run", "--detach"): "omit it: run ends with the test",
}
"""Options of docker that are another command here: (command, option) → what to do."""


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code."""
    try:
        code = app(list(arguments), prog_name="shipml", standalone_mode=False)
    except typer.TyperException as error:
        code = _explain_usage(error, arguments)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _explain_usage(error: typer.TyperException, arguments: Sequence[str]) -> int:
    """Show a command line that could not be read as an error like any other."""
    ours = list(arguments)[: list(arguments).index("--")] if "--" in arguments else arguments
    context = getattr(error, "ctx", None)
    help_command = f"{context.command_path if context else 'shipml'} --help"
    found = _SUGGESTION.search(error.format_message())
    message = error.format_message()[: found.start() if found else None].strip().rstrip(".")
    hint = f"did you mean {found[1]}? " if found else ""
    asked = (str(context.command.name) if context else "", str(getattr(error, "option_name", "")))
    if asked in _OTHER_WAYS:
        hint = f"{_OTHER_WAYS[asked]}; "
    return Console(as_json="--json" in ours).fail(
        UsageError(message[:1].lower() + message[1:], hint=f"{hint}see: {help_command}")
    )
