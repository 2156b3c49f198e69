"""A program that runs confined: the process outside that starts it, listens to it, and ends it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from shipml.errors import UnavailableError
from shipml.runtimes.inside.protocol import (
    PACKET_BYTES,
    Spec,
    decode,
    encode,
)
from shipml.runtimes.sandbox_errors import explain

__all__ = ["Confined"]

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from shipml.runtimes.inside.launch import main; "
    "main(*map(int, sys.argv[2:]))"
)
_HANDED_DOWN = ("PATH", "LD_LIBRARY_PATH")
"""All that the process inside gets of our environment: what it takes to start Python and newuidmap."""
_END_SECONDS = 5.0


class Confined:
    """Starts the program of `spec`; `listen` until it has ended. Leaving the `with` block ends all its processes.

    Args:
        spec: what to run.
        pipes: descriptors that become the program's stdin and stdout; otherwise its stdin is empty, and `listen` hears
            its stdout.
    """

    def __init__(self, spec: Spec, *, pipes: tuple[int, int] | None = None) -> None:
        self.started_at: float | None = None
        """When the program began, as time.monotonic()."""
        self.exit_code: int | None = None
        """128 + N for signal N; None while it runs."""
        self.out_of_memory = False
        self.too_many_processes = False
        self.cause = ""
        """Why it could not be executed, where that is so."""
        self._spec = spec
        self._control, control_inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.probe, probe_inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with control_inside, probe_inside:
            ends = (control_inside.fileno(), probe_inside.fileno(), *((pipes[0],) if pipes else ()))
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, str(Path(__file__).parents[2])]
                + [str(number) for number in (os.getpid(), *ends)],
                stdin=subprocess.PIPE,
                stdout=pipes[1] if pipes else subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={name: os.environ[name] for name in _HANDED_DOWN if name in os.environ},
                pass_fds=ends,
                start_new_session=True,
            )
        self._selector = selectors.DefaultSelector()
        self._register()

    def _register(self) -> None:
        assert self._process.stdin and self._process.stderr  # noqa: S101, PT018  (pipes, above)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(self._spec.to_json())
            self._process.stdin.close()
        if self._process.stdout:
            self._selector.register(self._process.stdout, selectors.EVENT_READ, "stdout")
        self._selector.register(self._process.stderr, selectors.EVENT_READ, "stderr")
        self._selector.register(self._control, selectors.EVENT_READ, "control")

    def __enter__(self) -> Confined:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.close()  # the process inside takes this for its end
        self.probe.close()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def listen(
        self, timeout_seconds: float | None, received: Callable[[Literal["stdout", "stderr"], bytes], None]
    ) -> bool:
        """Hand on output until the program and its output have ended (True) or the time is over (False).

        Raises:
            UnavailableError: the sandbox cannot be made here.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while self._selector.get_map():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            for key, _ in self._selector.select(left):
                data = self._read(key)
                if not data:
                    self._selector.unregister(key.fileobj)
                elif key.data == "control":
                    self._heed(decode(data))
                else:
                    received(key.data, data)
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the program itself, as `docker stop` does."""
        with contextlib.suppress(OSError):
            self._control.send(encode({"signal": int(number)}))

    def end(self) -> None:
        """End all its processes, from any thread; `listen` then returns."""
        with contextlib.suppress(OSError):  # it is closed: they have ended
            self._control.shutdown(socket.SHUT_RDWR)

    def _read(self, key: selectors.SelectorKey) -> bytes:
        try:
            return self._control.recv(PACKET_BYTES) if key.data == "control" else os.read(key.fd, PACKET_BYTES)
        except ConnectionResetError:
            return b""

    def _heed(self, message: dict[str, Any]) -> None:
        if "failed" in message:
            raise explain(message["failed"], message["errno"], message["reason"])
        if "started" in message:
            self.started_at = time.monotonic()
        self.cause = message.get("cause", self.cause)
        self.exit_code = message.get("exit_code", self.exit_code)
        self.out_of_memory = message.get("out_of_memory", self.out_of_memory)
        self.too_many_processes = message.get("too_many", self.too_many_processes)

    def require_ending(self) -> None:
        """Raise UnavailableError where the processes ended without saying how: someone else killed them."""
        if self.exit_code is None:
            raise UnavailableError(
                "the sandbox ended without saying how: something outside killed it",
                hint="look for the reason in the kernel's log: sudo dmesg | tail",
            )
