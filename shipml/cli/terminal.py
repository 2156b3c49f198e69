"""A program on the user's terminal: a pseudo terminal between them, so that Ctrl-C, colours and sizes work."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = ["on_terminal"]

_PIECE_BYTES = 1 << 16
_LAST_SECONDS = 2.0


def on_terminal(run: Callable[[tuple[int, int]], int]) -> int:
    """Hand `run` the ends of a terminal of its own, pump between it and the user's, and return what `run` returns."""
    ours, theirs = os.openpty()
    result: list[int] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            result.append(run((theirs, theirs)))
        except BaseException as error:  # noqa: BLE001  (raised again where the user sees it)
            failed.append(error)
        finally:
            os.close(theirs)

    with _sized(ours):
        thread = threading.Thread(target=work, name="shell", daemon=True)
        thread.start()
        try:
            with _raw():
                _pump(ours)
            thread.join(_LAST_SECONDS)
        finally:
            os.close(ours)
    if failed:
        raise failed[0]
    return result[0] if result else 1


def _pump(ours: int) -> None:
    """Until the other side of the terminal is closed by all who had it."""
    screen = sys.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        selector.register(ours, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                try:
                    data = os.read(key.fd, _PIECE_BYTES)
                except OSError:  # EIO: Linux's end of a terminal
                    return
                if key.fd == ours:
                    if not data:
                        return
                    _write(screen, data)
                elif data:
                    _write(ours, data)
                else:
                    selector.unregister(key.fd)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Let every key go to the program, as long as the block lasts."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _sized(ours: int) -> Iterator[None]:
    """Give a terminal the size of the user's, now and when that changes."""
    import fcntl
    import termios

    def resize(*_: object) -> None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(sys.stdin.fileno(), termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
            fcntl.ioctl(ours, termios.TIOCSWINSZ, size)

    resize()
    before = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
