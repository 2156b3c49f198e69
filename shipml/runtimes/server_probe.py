"""Asks a program's server until its answer is final; in a sandbox by TCP sockets that were made inside its network."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Sequence

from shipml.runtimes.asking.client import Answer, Client, read_body
from shipml.runtimes.asking.questions import Question, Questions
from shipml.runtimes.sandbox_network import Listener, SandboxNetwork

__all__ = ["ServerProbe"]

_PAUSE_SECONDS = 0.1
_ANSWER_SECONDS = 10.0
_PAGE_BYTES = 1 << 20
_PAGE_SECONDS = 5.0
_EQUAL_ANSWERS = 5
"""As many refusals, over as many seconds as below, are the server's last word."""
_REFUSED_SECONDS = 3.0
_FAILED_SECONDS = 30.0
"""The same for 5xx: some answer so while they load a model."""
_UNREACHABLE_SECONDS = 8.0
"""A server that answers on loopback alone for as long will not listen elsewhere."""
_MAY_PASS = frozenset({408, 425, 429})


class ServerProbe:
    """A thread that asks until 2xx or 3xx comes, another answer is final, or `stop` is called."""

    def __init__(
        self,
        network: SandboxNetwork | None,
        port: int,
        path: str,
        *,
        is_port_fixed: bool = False,
        any_answer: bool = False,
        questions: Sequence[Question] = (),
        timeout_seconds: float = 600.0,
    ) -> None:
        """Prepare to ask.

        Args:
            network: of the sandbox; None asks from this machine's own network.
            port: where the server is expected.
            path: what is asked for.
            is_port_fixed: whether no other port counts, even if the program listens there and not here.
            any_answer: whether every answer below 500 is good: the path is a guess.
            questions: what is asked once a good answer has come.
            timeout_seconds: when all of that must be over.
        """
        self.status: int | None = None
        """The last answer."""
        self.listeners: tuple[Listener, ...] = ()
        """Where the program listened when it was last looked; () where that cannot be seen."""
        self.is_unreachable = False
        """Whether a server answers on loopback alone."""
        self._network = network
        self._port = port
        self._path = path
        self._is_port_fixed = is_port_fixed
        self._any_answer = any_answer
        self.questions = Questions(questions)
        self._timeout_seconds = timeout_seconds
        self._answer: Answer | None = None
        self._answers: tuple[int, int, float] = (0, 0, 0.0)
        """The last answer, how often it came in a row, and since when (time.monotonic())."""
        self._unreachable_since: float | None = None
        self._stopped = threading.Event()
        self._final = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_final, name="server-probe", daemon=True)

    @property
    def url(self) -> str:
        """What is asked."""
        return f"http://127.0.0.1:{self._port}{self._path}"

    @property
    def answered_well(self) -> bool:
        """Whether the last answer was 2xx or 3xx, or any below 500 where that is enough."""
        limit = 500 if self._any_answer else 400
        return self.status is not None and 200 <= self.status < limit  # noqa: PLR2004  (RFC 9110, section 15)

    @property
    def is_final(self) -> bool:
        """Whether waiting longer changes nothing."""
        return (self.answered_well and self.questions.is_done) or self._final.is_set()

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking, and wait for the thread; a question on its way is let go."""
        self._stopped.set()
        if self._network:
            self._network.close()
        if self._thread.is_alive():
            self._thread.join(_PAUSE_SECONDS)

    def _ask_until_final(self) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        while not (self._stopped.is_set() or self.answered_well or self._final.is_set()):
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._look_and_ask()
            if not self.answered_well:
                time.sleep(_PAUSE_SECONDS)
        if self.answered_well and self._answer is not None:
            self.questions.ask(Client(self._connected, deadline), self._answer, self._stopped)

    def _look_and_ask(self) -> None:
        if self._network is not None:
            self.listeners = self._network.listeners()
            reachable = sorted({one.port for one in self.listeners if not one.is_loopback})
            if self._port not in reachable:
                if self._is_port_fixed or not reachable:
                    self._ask_loopback()
                    return
                self._port = reachable[0]
        self._unreachable_since = None
        self.status = self._ask(self._port)
        self._weigh(self.status)

    def _weigh(self, status: int) -> None:
        """Note whether this answer has come often enough to be the last word."""
        last, count, since = self._answers
        self._answers = (status, count + 1, since) if status == last else (status, 1, time.monotonic())
        _, count, since = self._answers
        needed_seconds = _REFUSED_SECONDS if status < 500 else _FAILED_SECONDS  # noqa: PLR2004
        lasted = time.monotonic() - since >= needed_seconds
        if status >= 400 and status not in _MAY_PASS and count >= _EQUAL_ANSWERS and lasted:  # noqa: PLR2004
            self._final.set()

    def _ask_loopback(self) -> None:
        """Whether a server answers where only its own container reaches it."""
        for listener in self.listeners:
            if listener.is_loopback and (listener.port == self._port or not self._is_port_fixed):
                self._ask(listener.port, "::1" if ":" in listener.address else "127.0.0.1")
                now = time.monotonic()
                self._unreachable_since = self._unreachable_since or now
                if now - self._unreachable_since >= _UNREACHABLE_SECONDS:
                    self.is_unreachable = True
                    self._final.set()
                return
        self._unreachable_since = None

    def _connected(self) -> socket.socket:
        """A connection to where the good answer came from."""
        made = self._socket("127.0.0.1")
        try:
            made.settimeout(_ANSWER_SECONDS)
            made.connect(("127.0.0.1", self._port))
        except OSError:
            made.close()
            raise
        return made

    def _ask(self, port: int, address: str = "127.0.0.1") -> int:
        connection = http.client.HTTPConnection(address, port, timeout=_ANSWER_SECONDS)
        with contextlib.closing(connection), self._socket(address) as connected:
            connected.settimeout(_ANSWER_SECONDS)
            connected.connect((address, port))
            connection.sock = connected
            connection.request("GET", self._path, headers={"User-Agent": "shipml", "Connection": "close"})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            body = b""
            with contextlib.suppress(OSError, http.client.HTTPException):  # the status is an answer
                body = read_body(response, _PAGE_BYTES, time.monotonic() + _PAGE_SECONDS)
            self._answer = Answer(response.status, headers, body, self._path)
            return response.status

    def _socket(self, address: str) -> socket.socket:
        if self._network is not None:
            return self._network.socket(address)
        return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
