"""Runs commands of shipml in forks of this process, which has imported all of it: `fork_server.py SOCKET MODULE...`.

A client sends one request a connection: JSON, and the descriptors of stdin, stdout and stderr. It gets the process
id, then the exit code. Such a command is a process like any other, with its own environment, folder, signals and
end; it only did not import what it needs, which is most of the time that a short command takes.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

__all__ = ["REQUEST_BYTES"]

REQUEST_BYTES = 1 << 17
"""The most that a request may have."""
_STDERR = 2


def main(path: str, *modules: str) -> None:
    """Import `modules` too, then answer until whoever started this process closes its stdin, or ends."""
    sys.path[0] = str(Path(sys.executable).parent)  # as for the installed program
    with warnings.catch_warnings(action="error"):
        _import_all(modules)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(path)
        listening.listen(64)
        print("ready", flush=True)  # noqa: T201  (whoever started us waits for it)
        signal.signal(signal.SIGCHLD, _reap)
        while sys.stdin.fileno() not in (ready := select.select([listening, sys.stdin], [], [])[0]):
            assert ready
            connection, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                _answer(connection)
                return
            connection.close()


def _import_all(modules: Sequence[str]) -> None:
    import shipml

    for module in pkgutil.walk_packages(shipml.__path__, "shipml."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # forks share these pages


def _reap(*_: object) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _answer(connection: socket.socket) -> None:
    """Start the command in a process of its own, and tell how it ends; returns in the command's process alone."""
    data, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 3)
    command = os.fork()
    if command == 0:
        connection.close()
        _run(json.loads(data), descriptors)
        return
    for descriptor in (*descriptors, 0, 1, 2):
        os.close(descriptor)
    connection.sendall(str(command).encode())
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    connection.sendall(str(code).encode())
    os._exit(0)


def _run(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be the program that the request names, with its arguments, environment, folder and streams."""
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = _stream(0, sys.stdin), _stream(1, sys.stdout), _stream(2, sys.stderr)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    if os.environ.get("PYTHONWARNINGS") == "error":
        warnings.simplefilter("error")
    sys.argv[:] = request["command"]
    if Path(sys.argv[0]).suffix == ".py":
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        from shipml.cli import main as shipml

        shipml()


def _stream(descriptor: int, ours: TextIO) -> TextIO:
    """A stream as Python opens it when it starts."""
    opened = os.fdopen(descriptor, "wb" if descriptor else "rb", closefd=False)
    lines = descriptor == _STDERR or os.isatty(descriptor)
    return io.TextIOWrapper(opened, encoding=ours.encoding, errors=ours.errors, line_buffering=lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
