"""Attends a running program, wherever it runs: its clock, its output, its server; and judges it at the end."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from shipml.errors import UnavailableError
from shipml.events import Emit, Notice
from shipml.oci.digest import Digest
from shipml.plan.launching import EXPANDED
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.diagnose import Failure, remedy
from shipml.runtimes.program import Program, Received
from shipml.runtimes.server_probe import ServerProbe
from shipml.runtimes.smoke import CauseKind, Ending, Judgement, OutputLog, judge, normalised_measure
from shipml.runtimes.variables import Mask

__all__ = ["attend", "mib", "require_free", "server_port"]

_DEFAULT_PORT = 8080
_GRACE_SECONDS = 3.0
"""Between SIGTERM and SIGKILL."""
_SHORT_GRACE_SECONDS = 1.0
"""The same for a server that has shown what it must: as process 1, most ignore SIGTERM."""
_PROBE_SECONDS = 0.05
_LOOK_SECONDS = 1.0
_FIRST_WORD_SECONDS, _BEAT_SECONDS = 2.0, 15.0
_MIB = 1 << 20


def attend(
    program: Program,
    probe: ServerProbe | None,
    options: RunOptions,
    emit: Emit,
    *,
    digest: Digest,
    runtime: str,
    command: Sequence[str],
    ran_out: Callable[[], bool] = lambda: False,
    listening: Callable[[], tuple[str, ...]] = tuple,
) -> SmokeResult:
    """Until the program ends by itself, its server answers well, or its time is over; then it is told to end.

    `command` is what the image was told to run; `ran_out` says whether a memory limit outside the program's knowledge
    was reached; `listening` says where the program listens, as `address:port`, where that can be seen.

    Raises:
        ConfigurationError: the check makes no sense.
    """
    log, begun_at, mask = OutputLog(), time.monotonic(), Mask(options.environment)
    show = mask.emitting(emit)

    def received(stream: Literal["stdout", "stderr"], data: bytes) -> None:
        log.feed(stream, data)
        show(stream, data)

    if probe:
        probe.start()
    try:
        ended = _wait(program, probe, options.check.timeout_seconds, received, emit)
        found = () if ended or probe else listening()
        if not ended:
            _end(program, probe, received)
    finally:
        if probe:
            probe.stop()
        mask.flush(emit)
    ending = _ending(program, probe, options, ended=ended, ran_out=ran_out)
    judgement = judge(options.check, ending, log)
    failure = _failure(judgement, ending, log, probe, options, program=_program(command))
    failure = replace(failure, listeners=failure.listeners or found)
    hint = "" if judgement.passed else remedy(failure, options.check, options.called)
    return SmokeResult(
        digest=digest,
        runtime=runtime,
        passed=judgement.passed,
        exit_code=ending.exit_code,
        measures=judgement.measures,
        output=mask.text(log.tail),
        elapsed_seconds=time.monotonic() - (program.started_at or begun_at),
        because=mask.text(judgement.because),
        demanded=tuple(normalised_measure(name) for name, _ in options.check.minimum),
        hint=mask.text(hint),
        checks=tuple(replace(one, because=mask.text(one.because)) for one in ending.findings),
    )


def _failure(
    judgement: Judgement,
    ending: Ending,
    log: OutputLog,
    probe: ServerProbe | None,
    options: RunOptions,
    *,
    program: str,
) -> Failure:
    lacking = (name for name, _ in options.check.minimum if normalised_measure(name) not in log.measures)
    return Failure(
        kind=judgement.kind,
        exit_code=ending.exit_code,
        words=log.tail,
        program=program,
        measure=next(lacking, ""),
        measures=tuple(log.measures),
        listeners=ending.unreachable or tuple(str(one) for one in (probe.listeners if probe else ())),
        left_out=options.left_out,
        written_by=options.written_by,
        present=options.present,
        settings=options.settings,
        memory_bytes=options.memory_bytes,
    )


def _program(command: Sequence[str]) -> str:
    """The program that a command is about, behind our own launcher and its variables."""
    words = list(command)
    if len(words) > 1 and words[1] == EXPANDED:
        words = [word for word in words[2:] if "=" not in word] or words
    return words[0] if words else ""


class _Heartbeat:
    """Says what is waited for, at first for a server, and then every quarter of a minute."""

    def __init__(self, emit: Emit, probe: ServerProbe | None, timeout_seconds: float) -> None:
        self._emit = emit
        self._probe = probe
        self._limit = f"{timeout_seconds:g} s"
        self._begun = time.monotonic()
        self._next = self._begun + (_FIRST_WORD_SECONDS if probe else _BEAT_SECONDS)

    def look(self) -> None:
        """Say it where it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _BEAT_SECONDS
            waited = f"{now - self._begun:.0f} s of {self._limit}"
            asked = self._probe.questions.current or self._probe.url if self._probe else ""
            what = f"waiting for {asked}" if asked else "the program is running"
            self._emit(Notice(f"{what}, {waited}"))


def _wait(program: Program, probe: ServerProbe | None, timeout_seconds: float, received: Received, emit: Emit) -> bool:
    deadline = time.monotonic() + timeout_seconds
    beat = _Heartbeat(emit, probe, timeout_seconds)
    while (left := deadline - time.monotonic()) > 0 and not (probe and probe.is_final):
        if program.listen(min(left, _PROBE_SECONDS if probe else _LOOK_SECONDS), received):
            return not (probe and probe.is_final)
        beat.look()
    return False


def _end(program: Program, probe: ServerProbe | None, received: Received) -> None:
    program.send_signal(signal.SIGTERM)
    program.listen(_SHORT_GRACE_SECONDS if probe and probe.answered_well else _GRACE_SECONDS, received)


def _ending(
    program: Program, probe: ServerProbe | None, options: RunOptions, *, ended: bool, ran_out: Callable[[], bool]
) -> Ending:
    status, url = (probe.status, probe.url) if probe else (None, "")
    findings = tuple(probe.questions.findings) if probe else ()
    unanswered = (probe.questions.current or "its first answer") if probe and not probe.questions.is_done else ""
    if not ended:
        unreachable = tuple(str(one) for one in probe.listeners if one.is_loopback) if probe else ()
        return Ending(
            None,
            timed_out=not (probe and probe.is_final),
            http_status=status,
            http_url=url,
            is_final=bool(probe and probe.is_final),
            unreachable=unreachable if probe and (probe.is_unreachable or not status) else (),
            findings=findings,
            unanswered=unanswered,
        )
    program.require_ending()
    kind, cause = _cause(program, options, ran_out)
    return Ending(
        program.exit_code,
        http_status=status,
        http_url=url,
        cause=cause,
        cause_kind=kind,
        findings=findings,
        unanswered=unanswered,
    )


def _cause(program: Program, options: RunOptions, ran_out: Callable[[], bool]) -> tuple[CauseKind, str]:
    """What the runtime knows beyond the exit code."""
    if program.exit_code and program.too_many_processes:
        return "processes", "killed: it started more processes than the sandbox allows"
    if program.exit_code and (program.out_of_memory or ran_out()):
        limit = f"the limit of {mib(options.memory_bytes)}" if options.memory_bytes else "there is"
        return "memory", f"killed: it needed more memory than {limit}"
    return ("cannot-start", f"the program cannot start: {program.cause}") if program.cause else ("", "")


def mib(size_bytes: int) -> str:
    """A size as text, in MiB."""
    return f"{size_bytes / _MIB:g} MiB"


def server_port(
    asked: int | None, config: Mapping[str, Any], environment: Mapping[str, str], given: Mapping[str, str]
) -> int:
    """The check's port, else the $PORT `given` for this run, else the lowest that is exposed, else $PORT, else 8080."""
    if not asked and given.get("PORT", "").isdecimal():
        return int(given["PORT"])
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
