"""How a function becomes a command: options of value classes, one Console, errors shown, help in sections."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import inspect
import os
import re
import signal
import sys
import threading
import typing
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from shipml.cli.console import Console
from shipml.cli.options import Common
from shipml.errors import CancelledError, ShipmlError

__all__ = ["Command", "Group", "add_command", "keep_flat"]

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter


class _Help:
    """Help in sections: arguments, options by panel, examples as they are typed.

    Plain text on purpose: Typer's own panels need Rich, which doubles the time of `--help`.
    """

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        command: Any = self
        for parameter in command.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
                record = (parameter.metavar if usual == "Arguments" else record[0], _tidy(record[1]))
                panel = getattr(parameter, "rich_help_panel", None) or usual
                panels.setdefault(panel, []).append(record)
        for title in sorted(panels, key=lambda title: (title != "Arguments", title == "Output")):
            with formatter.section(title):
                formatter.write_dl(panels[title], col_max=30)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        del ctx
        command: Any = self
        if command.epilog:
            formatter.write("\n" + command.epilog.rstrip() + "\n")


def _tidy(words: str) -> str:
    """An option's description without what Typer adds around defaults, and without full stop."""
    words = re.sub(r"(\[|; )[\d.]*<?=?x[<>]=[\d.]+\]$", lambda found: "]" if found[1] == "; " else "", words)
    return re.sub(r"\[default: \((.*)\)\]$", r"[default: \1]", words).strip().rstrip(".")


_INTERRUPTED = CancelledError("interrupted", hint="nothing half-made was kept; start again when you like")
_PATIENCE_SECONDS = 2.0


class Command(_Help, TyperCommand):
    """A command of shipml."""


class Group(_Help, TyperGroup):
    """shipml itself, or commands that share their first word; commands are in panels."""

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Commands first, as `docker` does: they are what one looks for."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            words = command.help.splitlines()[0].rstrip(".") if command.help else ""
            panels.setdefault(command.rich_help_panel or "Commands", []).append((name, words))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        super().format_options(ctx, formatter)


def add_command(
    app: typer.Typer, function: Callable[..., None], name: str, *, panel: str = "Commands", cls: type[Command] = Command
) -> None:
    """Make `function` the command `name` of `app`.

    Its first parameter is the Console; a parameter whose type is a dataclass becomes one option a field; the options of
    `Common` are added. Its docstring is the help, with what follows the line `Examples:` shown as it stands.
    """
    parameters, groups = _flatten(function)

    def command(**arguments: Any) -> None:  # noqa: ANN401  (whatever the options are)
        values = {
            name: cls(**{field: arguments.pop(field) for field in fields}) for name, (cls, fields) in groups.items()
        }
        common: Common = values.pop("common")
        console = Console(
            as_json=common.json, verbosity=common.verbose, progress="quiet" if common.quiet else common.progress
        )
        raise typer.Exit(_guarded(lambda: function(console, **arguments, **values), console))

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    words, _, examples = inspect.cleandoc(function.__doc__ or "").partition("\nExamples:\n")
    epilog = f"Examples:\n{examples}" if examples else None
    app.command(name, cls=cls, help=words.strip(), epilog=epilog, rich_help_panel=panel)(command)


def _flatten(
    function: Callable[..., None],
) -> tuple[list[inspect.Parameter], dict[str, tuple[type[Any], Sequence[str]]]]:
    """The options of a function, fields of dataclasses among them; and which fields make which argument."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type[Any], Sequence[str]]] = {}
    asked = [
        (name, hints[name], parameter.default) for name, parameter in inspect.signature(function).parameters.items()
    ]
    for name, hint, default in [*asked[1:], ("common", Common, inspect.Parameter.empty)]:
        if not dataclasses.is_dataclass(hint):
            parameters.append(_parameter(name, hint, default))
            continue
        field_hints = typing.get_type_hints(hint, include_extras=True)
        fields = dataclasses.fields(hint)
        parameters += [_parameter(field.name, field_hints[field.name], field.default) for field in fields]
        groups[name] = (typing.cast("type[Any]", hint), [field.name for field in fields])
    return parameters, groups


def _parameter(name: str, hint: Any, default: Any) -> inspect.Parameter:  # noqa: ANN401  (any type can be an option's)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def _guarded(work: Callable[[], None], console: Console) -> int:
    """Do the work of a command; returns the exit code. Every failure is shown here, and only here."""
    interruption = _Interruption(console)
    try:
        work()
    except ShipmlError as error:
        return console.fail(error)
    except KeyboardInterrupt:
        return interruption.say()
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:  # noqa: BLE001  (the last line of defence: one line and a log instead of a traceback)
        from shipml.store import default_home

        return console.fail_unexpectedly(error, default_home())
    finally:
        console.close()
    return 0


class _Interruption:
    """SIGINT and SIGTERM end a command alike, so that Ctrl-C, `kill` and CI systems leave nothing behind.

    Work under way gets a moment to stop. What is still busy then is left where it is, which is safe at any point:
    nothing unfinished is visible in the store. A second signal does not wait.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = threading.Event()
        self._said = threading.Lock()
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's background jobs ignore Ctrl-C on purpose
                signal.signal(number, self._begin)

    def say(self) -> int:
        """Tell the user, once; the exit code."""
        if self._said.acquire(blocking=False):
            self._console.fail(_INTERRUPTED)
        return _INTERRUPTED.exit_code

    def _begin(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._begun.is_set():
            self._leave()
        self._begun.set()
        patience = threading.Timer(_PATIENCE_SECONDS, self._leave)
        patience.daemon = True
        patience.start()
        raise KeyboardInterrupt

    def _leave(self) -> None:
        os._exit(self.say())


_M_ARENA_MAX = -8
"""mallopt(3), glibc."""


def keep_flat() -> None:
    """Let all threads share two of malloc's arenas, before they start.

    glibc gives each thread an arena of its own, which keeps the largest amount that it ever held: with a dozen threads
    that work on buffers of a MiB, a build peaked at 280 MB instead of 185, in the same time. Other libraries have no
    such arenas, and nothing is done there.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
