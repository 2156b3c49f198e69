"""Options that commands share, and how their texts become values."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shipml.cli.console import Console
from shipml.errors import UsageError
from shipml.events import Notice

if TYPE_CHECKING:  # completion needs none of it
    from shipml.docker_engine.ports import PublishedPort
    from shipml.facts.request import PlanRequest

__all__ = [
    "Account",
    "Choices",
    "Common",
    "Folder",
    "ImageName",
    "NoOverwrite",
    "Planning",
    "RegistryWord",
    "RepositoryName",
    "Tags",
    "complete_images",
    "memory_bytes",
    "parse_environment",
    "parse_minimum",
    "parse_ports",
]

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def complete_images(incomplete: str) -> list[str]:
    """Names of images in the store that begin with what was typed."""
    from shipml.store import Store, default_home

    home = default_home()
    if not home.is_dir():
        return []
    with contextlib.closing(Store(home)) as store:
        names = [image.reference.removesuffix(":latest") for image in store.images()]
    return [name for name in names if name.startswith(incomplete)]


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The project folder", show_default="the current folder")]
ImageName = Annotated[
    str | None,
    typer.Argument(
        metavar="IMAGE|DIR",
        help="An image by name or digest, or the project folder that it was built from",
        show_default="the last image built here, or else below here, or else at all",
        autocompletion=complete_images,
    ),
]
RegistryWord = Annotated[
    str,
    typer.Option(
        "--registry",
        metavar="hub|acr|HOST|NAME",
        help="Target registry, instead of REF: Docker Hub, Azure, a host, or a name from the settings",
    ),
]
RepositoryName = Annotated[
    str,
    typer.Option(
        "--repository", metavar="NAME", help="Repository there, such as team/app", show_default="the image's name"
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="TAG|REF",
        help="Tag there, such as 1.4, or HOST/NAME:TAG instead of REF; repeatable",
        show_default="the image's version and git revision",
    ),
]

NoOverwrite = Annotated[
    bool, typer.Option("--no-overwrite", help="Fail if a tag there has another image already, instead of moving it")
]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose registry it is, where the word for the registry does not say."""

    account: Annotated[
        str,
        typer.Option(
            "--account", metavar="NAME", help="Name of the Azure registry (acr), or Docker Hub user or organisation"
        ),
    ] = ""
    name: Annotated[str, typer.Option("--name", hidden=True, help="Old spelling of --account")] = ""
    """What `--account` was called before."""

    def given(self, console: Console) -> str:
        """The name that was typed, "" for none; who uses the old spelling is told the new one."""
        if self.name and not self.account:
            console.emit(Notice(f"--name is the old spelling of --account {self.name}, and goes with the next release"))
        return self.account or self.name


@dataclass(frozen=True, slots=True)
class Common:
    """What every command takes."""

    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on stdout", rich_help_panel="Output")
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the result and errors only", rich_help_panel="Output")
    ] = False
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Print details, and the causes of errors; -vv each HTTP request, too",
            rich_help_panel="Output",
        ),
    ] = 0
    progress: Annotated[
        Literal["auto", "tty", "plain", "quiet"],
        typer.Option(help="How progress is shown; auto is tty on a terminal, else plain", rich_help_panel="Output"),
    ] = "auto"


@dataclass(frozen=True, slots=True)
class Choices:
    """What decides about an image, beside its name."""

    python: Annotated[
        str | None, typer.Option(metavar="X.Y", help="Python version", show_default="the newest that fits the project")
    ] = None
    base: Annotated[
        str | None,
        typer.Option(
            metavar="debian:SUITE|IMAGE",
            help="Base: a suite, or an image that has Python, such as python:3.12-slim",
            show_default="the suite that has this Python",
        ),
    ] = None
    platform: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OS/ARCH",
            help="linux/amd64, linux/arm64, or both with a comma; repeatable",
            show_default="this machine's",
        ),
    ] = None
    accelerator: Annotated[
        Literal["cpu", "cuda"] | None,
        typer.Option(
            help="CPU or GPU builds of packages such as torch", show_default="cpu, unless the project says GPU"
        ),
    ] = None
    extra: Annotated[
        list[str] | None,
        typer.Option("--extra", metavar="NAME", help="Also install this extra of pyproject.toml (may be repeated)"),
    ] = None
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="Also install this dependency group (may be repeated)"),
    ] = None
    locked: Annotated[
        bool, typer.Option("--locked", help="Fail unless the lock file is there and up to date", rich_help_panel="Lock")
    ] = False
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail instead of adjusting requirements", rich_help_panel="Lock"),
    ] = False
    upgrade: Annotated[
        bool,
        typer.Option("--upgrade", help="Resolve again instead of keeping earlier versions", rich_help_panel="Lock"),
    ] = False
    with_shell: Annotated[bool, typer.Option("--with-shell", help="Add bash and coreutils to the image")] = False
    no_dockerfile: Annotated[bool, typer.Option("--no-dockerfile", help="Ignore the project's Dockerfile")] = False
    allow_expired: Annotated[
        bool,
        typer.Option("--allow-expired", help="Accept expired Debian package lists (outdated mirror)"),
    ] = False
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="Accept Debian package lists that are older than those used before"),
    ] = False

    def request(self, folder: Path) -> PlanRequest:
        """What the library takes, for the project in a folder."""
        from shipml.facts.request import PlanRequest

        given = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        given |= {"platform": ",".join(self.platform or ()) or None}
        given |= {"extra": tuple(self.extra or ()), "group": tuple(self.group or ())}
        return PlanRequest(folder=folder, **given)


@dataclass(frozen=True, slots=True)
class Planning(Choices):
    """What the commands that make a plan take."""

    name: Annotated[str | None, typer.Option(help="Name of the image", show_default="the folder's name")] = None


def parse_environment(items: Sequence[str], option: str = "--env") -> dict[str, str]:
    """Read `NAME=VALUE`; a bare `NAME` takes the value from our own environment, which no process list shows.

    Raises:
        UsageError: an item without a usable name, or a bare name that is not set.
    """
    environment = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a valid name of an environment variable",
                hint=f"use {option} NAME=VALUE or {option} NAME",
            )
        if not equals and name not in os.environ:
            raise UsageError(
                f"the environment variable {name} is not set", hint=f"set it, or use {option} {name}=VALUE"
            )
        environment[name] = value if equals else os.environ[name]
    return environment


def parse_minimum(items: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Read `NAME=NUMBER`, sorted by name.

    Raises:
        UsageError: another form.
    """
    measures = {}
    for item in items:
        name, _, number = item.rpartition("=")
        try:
            measures[name.strip()] = float(number)
        except ValueError:
            name = ""
        if not name.strip() or number.strip().lower() == "nan":
            raise UsageError(f"--minimum {item} is not NAME=NUMBER", hint="for example: --minimum accuracy=0.9")
    return tuple(sorted(measures.items()))


def parse_ports(items: Sequence[str]) -> tuple[PublishedPort, ...]:
    """Read `[HOST_PORT:]CONTAINER_PORT`, in the order given.

    Raises:
        UsageError: another form, or one port of this machine for two of the program.
    """
    from shipml.docker_engine.ports import PublishedPort

    ports = tuple(PublishedPort.parse(item) for item in items)
    named = [port.host_port for port in ports if port.host_port]
    if twice := next((port for port in named if named.count(port) > 1), None):
        raise UsageError(f"--publish names port {twice} of this machine twice", hint="give each its own HOST_PORT")
    return ports


def memory_bytes(text: str, option: str = "--memory") -> int:
    """Read `512m` or `2g` as docker does: units of 1024.

    Raises:
        UsageError: another form, or nothing.
    """
    found = _MEMORY.fullmatch(text.strip())
    size_bytes = int(float(found[1]) * 1024 ** _UNITS[found[2].lower()]) if found else 0
    if size_bytes <= 0:
        raise UsageError(
            f"{option} {text} is not an amount of memory", hint=f"for example: {option} 512m or {option} 2g"
        )
    return size_bytes
