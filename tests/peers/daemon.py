"""Programs that run in the background for the tests and that never outlive them.

A daemon is process 1 of its own process and mount namespaces: when it goes, the kernel ends every process in there and
unmounts everything. It goes when `stop` is called and when the process that started it dies, even of SIGKILL.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

__all__ = ["Daemon", "peer_folder"]

_SCRIPT = Path(__file__).with_name("daemon.sh")
_START_SECONDS = 60
_STOP_SECONDS = 30
_PREFIX = "shipml-peer-"


def peer_folder(name: str) -> Path:
    """A new short-named folder (socket paths have at most 108 bytes), held by a lock until this process ends.

    Folders of processes that were killed are removed first.
    """
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-"))
    lock = os.open(folder / "owner", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)  # never closed: the kernel lets go of it when we die
    return folder


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "owner").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


class Daemon:
    """A program in the background, with a folder of its own for its files; `with` stops it and removes the folder."""

    def __init__(self, folder: Path, argv: Sequence[str], *, root: Path = Path("/")) -> None:
        """Start `argv` with `root` as its file system; must be called from the main thread.

        The kernel ties the program's life to the *thread* that started it.
        """
        self.folder = folder
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child",
                 str(_SCRIPT), str(root), str(folder), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at pytest is for pytest, which then stops us in order
            )  # fmt: skip

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()`.

        Raises:
            RuntimeError: the program ended, or was not ready in time; with the end of its log.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.folder.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask the program to end, then make sure of it."""
        if self._process.poll() is not None:
            return  # it has ended: its number may be another process's by now
        for pid in _children(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the program at once, in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
