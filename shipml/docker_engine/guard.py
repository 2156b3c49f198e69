"""Removes a container when the process that runs it dies, even of SIGKILL.

A small process waits at the end of a pipe. If the pipe breaks before "done" came, it removes the container.
AutoRemove would not do: it leaves what still runs, and forgets whether memory ran out.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

from shipml.docker_engine.endpoint import Endpoint
from shipml.errors import ShipmlError

__all__ = ["Guard", "guard_main"]

_WAIT = (  # imports nothing before there is something to do: 15 ms
    "import sys\n"
    "if not sys.stdin.buffer.read():\n"
    " import json; sys.path[:] = json.loads(sys.argv[1])\n"
    " from shipml.docker_engine.guard import guard_main; guard_main(sys.argv[2])"
)
_TRIES_SECONDS = 60.0
_NOT_THERE_SECONDS = 3.0
"""The engine may just be making the container."""
_PAUSE_SECONDS = 0.2
_END_SECONDS = 2.0


class Guard:
    """Watches over the container `name`, which need not exist yet."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WAIT, json.dumps(sys.path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(endpoint),
            start_new_session=True,  # Ctrl-C is for us
        )

    def release(self, *, done: bool) -> None:
        """End the watch: with `done` there is nothing to remove, else the guard removes it and tries for a minute."""
        assert self._process.stdin is not None  # noqa: S101  (a pipe, above)
        with contextlib.suppress(BrokenPipeError):
            if done:
                self._process.stdin.write(b"done")
            self._process.stdin.close()
        if done:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        else:
            self._process.returncode = 0  # it outlives us on purpose: no warning that it still runs


def _environment(endpoint: Endpoint) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    environment["DOCKER_HOST"] = endpoint.url
    if endpoint.tls and endpoint.tls.ca:
        environment["DOCKER_CERT_PATH"] = str(endpoint.tls.ca.parent)
        if endpoint.tls.verify:
            environment["DOCKER_TLS_VERIFY"] = "1"
    return environment


def guard_main(name: str) -> None:
    """Remove the container `name`: the guard's own process."""
    from shipml.docker_engine.connect import connect

    begun_at = time.monotonic()
    while (waited_seconds := time.monotonic() - begun_at) < _TRIES_SECONDS:
        with contextlib.suppress(ShipmlError), connect(timeout_seconds=_TRIES_SECONDS) as engine:
            if engine.remove_container(name) or waited_seconds > _NOT_THERE_SECONDS:
                return
        time.sleep(_PAUSE_SECONDS)
