"""What a runtime is, and what a run of an image gives."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shipml.events import Emit
from shipml.facts.plan import SmokeCheck
from shipml.oci.image import Image
from shipml.runtimes.diagnose import LeftOut, SettingsPlace
from shipml.store.evidence import SmokeResult

if TYPE_CHECKING:  # the sandbox needs nothing of the engine's
    from shipml.docker_engine.ports import PublishedPort
    from shipml.runtimes.reach import Running

__all__ = ["RunOptions", "Runtime", "SmokeResult"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How an image is run, beyond what it says itself."""

    check: SmokeCheck = SmokeCheck()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the image's own."""
    memory_bytes: int | None = None
    """Limit on what the program may hold; None for no limit."""
    cpus: float | None = None
    """Limit on the CPU time, in CPUs; an engine's matter, as what follows."""
    gpus: str = ""
    """As `docker run --gpus` takes it: "all", a number, "device=0,1"; "" for none."""
    volumes: tuple[str, ...] = ()
    """As `docker run --volume` takes them: "/here:/in/the/container:ro"."""
    ports: tuple[PublishedPort, ...] = ()
    """Beside the one that the check asks."""
    shared_memory_bytes: int = 64 << 20
    """Size of /dev/shm; Docker's default."""
    left_out: tuple[LeftOut, ...] = ()
    """Files of the project that are not in the image, for whoever looks for one."""
    written_by: Mapping[str, str] = field(default_factory=dict)
    """Path of a file → `FILE:LINE` of the project's code that writes it."""
    settings: SettingsPlace = SettingsPlace()
    is_whole_command: bool = False
    """Whether the check's command runs without the image's entrypoint before it."""


class Runtime(Protocol):
    """Runs an image."""

    name: str
    """As `--runtime` takes it."""

    def check(self, image: Image) -> None:
        """Raise UnavailableError where this runtime cannot run this image here: says why, and the way out."""

    def running(self, image: Image, options: RunOptions, emit: Emit) -> AbstractContextManager[Running]:
        """Run the image's command for as long as the block lasts; nothing is judged.

        Raises:
            ShipmlError: as its class says.
        """

    def run(self, image: Image, options: RunOptions, emit: Emit) -> SmokeResult:
        """Run the image's command (or the check's), stream its output as `OutputReceived`, and judge it.

        Raises:
            ShipmlError: as its class says. A program that fails is not an error but a result with `passed` false.
        """
