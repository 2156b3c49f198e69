"""A shell beside an image's files: the sandbox of a run, with tools of our own in it, and with somebody's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from shipml.errors import BuildError
from shipml.events import OutputReceived
from shipml.facts.plan import SmokeCheck
from shipml.oci.image import Image
from shipml.runtimes.base import RunOptions
from shipml.runtimes.sandbox import Sandbox
from shipml.runtimes.sandbox_process import Confined
from shipml.session import Session

__all__ = ["ShellOptions", "Tools", "open_shell"]

_MISSING = "the shell ended without an exit code"


@dataclass(frozen=True, slots=True)
class Tools:
    """Programs that are not the image's."""

    tree: Path
    """Goes on top of the image's files."""
    folder: str
    """Where it holds them, below the root."""


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """What is run, and with whose input and output."""

    pipes: tuple[int, int]
    """Descriptors that become its input and output."""
    is_terminal: bool = False
    """Whether they are a terminal's, which the shell is to control."""
    command: tuple[str, ...] = ()
    """Instead of a shell."""
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False


def open_shell(session: Session, image: Image, tools: Tools, wanted: ShellOptions) -> int:
    """Run a shell, or a command, until it ends; its exit code. What it changes is gone with it.

    Raises:
        UnavailableError: sandboxes do not work here, or not for this image.
        BuildError: it could not be executed.
    """
    sandbox = Sandbox(session.store)
    sandbox.check(image)
    command = _command(tools, wanted)
    check = SmokeCheck(command=command, network=wanted.network)
    options = RunOptions(check, wanted.environment, is_whole_command=True)
    spec, _ = sandbox.prepare(image, options, session.emit)
    path = f"{spec.environment['PATH']}:/{tools.folder}"
    spec = replace(
        spec, layers=(str(tools.tree.resolve()), *spec.layers), environment={**spec.environment, "PATH": path}
    )

    def received(_: Literal["stdout", "stderr"], data: bytes) -> None:
        session.emit(OutputReceived("stderr", data))

    with Confined(spec, pipes=wanted.pipes) as program:
        program.listen(None, received)
        if program.cause:
            raise BuildError(f"cannot start: {program.cause}", hint="see what there is: shipml shell IMAGE -- ls /")
        program.require_ending()
        code = program.exit_code
    assert code is not None, _MISSING  # noqa: S101  (require_ending)
    return code


def _command(tools: Tools, wanted: ShellOptions) -> tuple[str, ...]:
    """On a terminal, the program gets a session whose terminal that is, and its stderr goes there too."""
    box = f"/{tools.folder}/busybox"
    inner = wanted.command or (box, "sh")
    if not wanted.is_terminal:
        return inner
    # Busybox's setsid would leave at once if it led a process group already: as a shell's child it leads none.
    begin = f'{box} setsid -c {box} sh -c \'exec "$@" 2>&1\' sh "$@"; exit $?'
    return (box, "sh", "-c", begin, "sh", *inner)
