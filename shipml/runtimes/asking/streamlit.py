"""A first visit of a Streamlit app: its script runs when a browser opens a session, so a session is opened.

The messages are those of streamlit/proto (ForwardMsg, BackMsg, Element), whose field numbers have stayed since 1.0.
"""

from __future__ import annotations

import posixpath
import re
import time
from dataclasses import dataclass, field

from shipml.runtimes.asking.client import Client, LateError
from shipml.runtimes.asking.protobuf import MalformedError, fields, texts
from shipml.runtimes.asking.protobuf import field as value_at
from shipml.runtimes.asking.websocket import WebSocket, WebSocketError
from shipml.store.evidence import Finding

__all__ = ["WHAT", "visit"]

WHAT = "a first visit of the Streamlit app"
_STREAMS = ("_stcore/stream", "stream")
"""Since Streamlit 1.12, and before."""
_PROTOCOL = "streamlit"
_RERUN = b"\x5a\x00"
"""BackMsg(rerun_script=ClientState()): what a browser sends at first."""
_NEW_SESSION, _DELTA, _SCRIPT_FINISHED, _SESSION_EVENT = 4, 5, 6, 10  # ForwardMsg
_NEW_ELEMENT, _EXCEPTION = 3, 8  # Delta, Element
_TYPE, _MESSAGE, _STACK_TRACE, _IS_WARNING = 1, 2, 3, 5  # Exception
_COMPILATION_EXCEPTION = 3  # SessionEvent
_MAIN_SCRIPT, _PAGES = 4, 8  # NewSession
_NOT_COMPILED, _RERUNS = 1, 2  # ScriptFinishedStatus
_LOOK_SECONDS = 1.0
_LIVE_SECONDS = 20.0
"""A script that has shown something again and again for as long is one that never ends, such as a live chart."""
_QUIET_SECONDS = 5.0
_REASON_SECONDS = 2.0
"""What does not compile is told in a message of its own, after the end."""
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_LIBRARIES = re.compile(r"/(?:site|dist)-packages/|/lib/python3|^<")


@dataclass(slots=True)
class _Run:
    """What a run of the script has shown so far."""

    exception: bytes = b""
    is_over: bool = False
    is_uncompiled: bool = False
    pages: int = 0
    script: str = ""
    elements: int = 0
    begun: float = field(default_factory=time.monotonic)
    last_element: float = field(default_factory=time.monotonic)

    def heed(self, message: bytes) -> None:
        """Take a ForwardMsg."""
        for number, value in fields(message):
            if number == _NEW_SESSION and isinstance(value, bytes):
                self.exception, self.is_over = b"", False
                self.pages = len([1 for at, _ in fields(value) if at == _PAGES])
                self.script = next(iter(texts(value, _MAIN_SCRIPT)), "")
            elif number == _DELTA and isinstance(value, bytes):
                self.elements += 1
                self.last_element = time.monotonic()
                self._look(value_at(value, _NEW_ELEMENT, _EXCEPTION))
            elif number == _SESSION_EVENT and isinstance(value, bytes):
                self._look(value_at(value, _COMPILATION_EXCEPTION))
            elif number == _SCRIPT_FINISHED:
                self.is_over, self.is_uncompiled = value != _RERUNS, value == _NOT_COMPILED

    @property
    def is_live(self) -> bool:
        """Whether it shows new things without end."""
        now = time.monotonic()
        return now - self.begun > _LIVE_SECONDS and self.elements > 1 and now - self.last_element < _QUIET_SECONDS

    def _look(self, exception: int | bytes | None) -> None:
        if isinstance(exception, bytes) and not value_at(exception, _IS_WARNING) and not self.exception:
            self.exception = exception


def visit(client: Client, folder: str) -> Finding:
    """Open a session, and wait until the script has run once.

    Args:
        client: asks the server.
        folder: the path of the app, with a slash at its end.

    Raises:
        OSError: the connection broke, or its time is over.
    """
    try:
        with _session(client, folder) as session:
            session.send(_RERUN)
            run = _Run()
            while not (run.is_over or run.is_live):
                message = session.receive(min(_LOOK_SECONDS, client.left_seconds))
                if message is not None:
                    run.heed(message)
            if run.is_uncompiled and (message := session.receive(_REASON_SECONDS)):
                run.heed(message)
    except LateError:
        raise
    except (WebSocketError, MalformedError) as error:
        return Finding(
            WHAT, None, f"the Streamlit script was not run: no session could be opened ({error or 'other messages'})"
        )
    return _finding(run)


def _session(client: Client, folder: str) -> WebSocket:
    last = WebSocketError("")
    for stream in _STREAMS:
        try:
            return WebSocket(client.connection(), folder + stream, _PROTOCOL)
        except WebSocketError as error:
            last = error
    raise last


def _finding(run: _Run) -> Finding:
    name = run.script.rpartition("/")[2] or "its script"
    if run.exception:
        told = f"{name} raises on a first visit: {_told(run.exception, run.script)}"
        return Finding(WHAT, False, told, gives_reason=True)
    if run.is_uncompiled:
        return Finding(WHAT, False, f"{name} cannot be compiled")
    more = f" (of its {run.pages} pages only the first was visited)" if run.pages > 1 else ""
    if not run.is_over:
        return Finding(WHAT, True, f"{name} was still running after {_LIVE_SECONDS:g} s, and showed no exception{more}")
    return Finding(WHAT, True, f"{name} ran to its end on a first visit{more}")


def _told(exception: bytes, script: str) -> str:
    kind, message = (next(iter(texts(exception, number)), "") for number in (_TYPE, _MESSAGE))
    first = (message.strip().splitlines() or [""])[0]
    said = f"{kind}: {first}" if kind and first else kind or first or "an exception"
    frames = [found for line in texts(exception, _STACK_TRACE) if (found := _FRAME.search(line))]
    own = [found for found in frames if not _LIBRARIES.search(found["file"])]
    if not own:
        return said
    file = own[-1]["file"].removeprefix(posixpath.dirname(script) + "/").removeprefix("/app/")
    return f"{said} ({file}:{own[-1]['line']})"
