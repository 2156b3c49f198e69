"""Runs the command line in a fork of a process that has imported it, where that is like a process of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.peers.fork_server import REQUEST_BYTES

__all__ = ["SHIPML", "run_forked"]

SHIPML = Path(sys.executable).with_name("shipml")
_SERVER = Path(__file__).with_name("fork_server.py")
_SLOW = ("docker", "rich.progress", "urllib3", "yaml")
_SLOW_IN_AZURE = ("azure.identity", "azure.mgmt.containerregistry")
"""Libraries that are imported when they are first needed, and take long."""
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
"""Variables that an interpreter reads when it starts."""
_TOLD = {"PYTHONWARNINGS": ("error", "")}
"""Those among them that a fork can heed."""


def run_forked(
    command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run shipml (`SHIPML …`) or a program of tests (`FILE.py …`) to its end, and read what it prints.

    A process of its own is started where the environment has variables that only a start can heed.
    """
    words = [str(word) for word in command]
    if sys.platform != "linux" or not _can_fork(environment):
        program = [sys.executable, *words] if words[0].endswith(".py") else words
        return subprocess.run(
            program, capture_output=True, text=True, errors="replace", check=False, cwd=folder, env=dict(environment),
            input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
        )  # fmt: skip
    umask = os.umask(0o022)
    os.umask(umask)
    request = {"command": words, "environment": dict(environment), "folder": str(folder), "umask": umask}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(_server_socket(in_azure=any(name.startswith("AZURE_") for name in environment)))
        return _converse(connection, words, json.dumps(request).encode(), stdin or "")


def _can_fork(environment: Mapping[str, str]) -> bool:
    names = {name for name in (*environment, *os.environ) if name.startswith(_AT_START)}
    return all(
        environment.get(name) == os.environ.get(name) or environment.get(name, "") in _TOLD.get(name, ())
        for name in names
    )


def _converse(
    connection: socket.socket, words: list[str], request: bytes, stdin: str
) -> subprocess.CompletedProcess[str]:
    assert len(request) < REQUEST_BYTES
    input_, output, errors = os.pipe(), os.pipe(), os.pipe()
    try:
        socket.send_fds(connection, [request], [input_[0], output[1], errors[1]])
    finally:
        for descriptor in (input_[0], output[1], errors[1]):
            os.close(descriptor)
    read = [_Reader(output[0]), _Reader(errors[0])]
    with os.fdopen(input_[1], "wb") as stream:
        stream.write(stdin.encode())
    process = int(connection.recv(64))
    try:
        code = int(connection.recv(64))
    except BaseException:
        os.kill(process, signal.SIGKILL)
        raise
    printed, complained = (one.text() for one in read)
    return subprocess.CompletedProcess(words, code, printed, complained)


class _Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self._descriptor = descriptor
        self._data = b""
        self.start()

    def run(self) -> None:
        with os.fdopen(self._descriptor, "rb") as stream:
            self._data = stream.read()

    def text(self) -> str:
        self.join()
        return self._data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")


@functools.cache
def _server_socket(*, in_azure: bool) -> str:
    """The socket of a server, which is started once, and ends with this process."""
    path = f"{tempfile.mkdtemp(prefix='shipml-fork-')}/s"
    command = [sys.executable, _SERVER, path, *_SLOW, *(_SLOW_IN_AZURE if in_azure else ())]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_SERVER.parents[2])
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    _servers.append(server)
    return path


_servers: list[subprocess.Popen[str]] = []
"""Kept so that their stdin stays open."""
