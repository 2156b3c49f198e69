"""Attends a running program, wherever it runs: its clock, its output, its server; and judges it at the end."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

from shipml.errors import UnavailableError
from shipml.events import Emit, OutputReceived
from shipml.oci.digest import Digest
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.server_probe import ServerProbe
from shipml.runtimes.smoke import Ending, OutputLog, judge

__all__ = ["Program", "Received", "attend", "mib", "require_free", "server_port"]

_DEFAULT_PORT = 8080
_GRACE_SECONDS = 3.0
"""Between SIGTERM and SIGKILL."""
_SHORT_GRACE_SECONDS = 1.0
"""The same for a server that has shown what it must: as process 1, most ignore SIGTERM."""
_PROBE_SECONDS = 0.05
_MIB = 1 << 20

Received: TypeAlias = Callable[[Literal["stdout", "stderr"], bytes], None]


class Program(Protocol):
    """A program that runs confined."""

    @property
    def started_at(self) -> float | None:
        """When it began, as time.monotonic()."""

    @property
    def exit_code(self) -> int | None:
        """128 + N for signal N; None while it runs."""

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed for the memory that it asked for."""

    @property
    def too_many_processes(self) -> bool:
        """Whether it was killed for the number of its processes."""

    @property
    def cause(self) -> str:
        """Why it could not be executed, where that is so."""

    def listen(self, timeout_seconds: float | None, received: Received) -> bool:
        """Hand on output until the program and its output have ended (True) or the time is over (False)."""

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, as `docker stop` does."""

    def require_ending(self) -> None:
        """Raise UnavailableError or TryAgainError where it ended without saying how."""


def attend(
    program: Program,
    probe: ServerProbe | None,
    options: RunOptions,
    emit: Emit,
    *,
    digest: Digest,
    runtime: str,
    ran_out: Callable[[], bool] = lambda: False,
) -> SmokeResult:
    """Until the program ends by itself, its server answers well, or its time is over; then it is told to end.

    `ran_out` says whether a memory limit outside the program's knowledge was reached.

    Raises:
        ConfigurationError: the check makes no sense.
    """
    log, begun_at = OutputLog(), time.monotonic()

    def received(stream: Literal["stdout", "stderr"], data: bytes) -> None:
        log.feed(stream, data)
        emit(OutputReceived(stream, data))

    if probe:
        probe.start()
    try:
        ended = _wait(program, probe, options.check.timeout_seconds, received)
    finally:
        if probe:
            probe.stop()
    ending = _ending(program, probe, options, ended=ended, ran_out=ran_out)
    judgement = judge(options.check, ending, log)
    return SmokeResult(
        digest=digest,
        runtime=runtime,
        passed=judgement.passed,
        exit_code=ending.exit_code,
        measures=judgement.measures,
        output=log.tail,
        elapsed_seconds=time.monotonic() - (program.started_at or begun_at),
        because=judgement.because,
    )


def _wait(program: Program, probe: ServerProbe | None, timeout_seconds: float, received: Received) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while (left := deadline - time.monotonic()) > 0 and not (probe and probe.answered_well):
        if program.listen(min(left, _PROBE_SECONDS) if probe else left, received):
            return not (probe and probe.answered_well)
    program.send_signal(signal.SIGTERM)
    program.listen(_SHORT_GRACE_SECONDS if probe and probe.answered_well else _GRACE_SECONDS, received)
    return False


def _ending(
    program: Program, probe: ServerProbe | None, options: RunOptions, *, ended: bool, ran_out: Callable[[], bool]
) -> Ending:
    status, url = (probe.status, probe.url) if probe else (None, "")
    if not ended:
        return Ending(None, timed_out=not (probe and probe.answered_well), http_status=status, http_url=url)
    program.require_ending()
    cause = f"the program cannot start: {program.cause}" if program.cause else ""
    if program.exit_code and (program.out_of_memory or ran_out()):
        cause = "killed: it needed more memory than "
        cause += f"the limit of {mib(options.memory_bytes)}" if options.memory_bytes else "there is"
    if program.exit_code and program.too_many_processes:
        cause = "killed: it started more processes than the sandbox allows"
    return Ending(program.exit_code, http_status=status, http_url=url, cause=cause)


def mib(size_bytes: int) -> str:
    """A size as text, in MiB."""
    return f"{size_bytes / _MIB:g} MiB"


def server_port(asked: int | None, config: Mapping[str, Any], environment: Mapping[str, str]) -> int:
    """The check's port, else the lowest that the image exposes, else $PORT, else 8080."""
    names = [port.partition("/")[0] for port in config.get("ExposedPorts") or () if not port.endswith("/udp")]
    exposed = [int(name) for name in names if name.isdecimal()]
    if asked or exposed:
        return asked or min(exposed)
    named = environment.get("PORT", "")
    return int(named) if named.isdecimal() else _DEFAULT_PORT


def require_free(port: int) -> None:
    """With this machine's network, another server's answer would be taken for the image's."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        if trial.connect_ex(("127.0.0.1", port)) == 0:
            raise UnavailableError(
                f"port {port} is taken on this machine, and the program shares this machine's network",
                hint="stop what listens there, or give another port with [smoke] port",
            )
