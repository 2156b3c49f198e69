"""What `-vv` shows of HTTP requests, and what `-v` says of those that were refused."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self

__all__ = ["RequestLog"]

_LOGGER = "shipml.http"
_SHOWN_REFUSALS = 3
_REFUSED = 400


class RequestLog(logging.Handler):
    """Hears of each request that the library sends (`shipml.http.trace`); keeps the last that were refused."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        super().__init__()
        self._say = say
        self._refused: deque[str] = deque(maxlen=_SHOWN_REFUSALS)

    @classmethod
    def installed(cls, say: Callable[[str], None], verbosity: int) -> Self | None:
        """One that listens from now on: `say` gets each request at verbosity 2 or where SHIPML_LOG names http.

        None where nobody wants to hear of requests.
        """
        shows_all = verbosity > 1 or "http" in os.environ.get("SHIPML_LOG", "").split(",")
        if not (verbosity or shows_all):
            return None
        log = cls(say if shows_all else None)
        logger = logging.getLogger(_LOGGER)
        logger.handlers = [one for one in logger.handlers if not isinstance(one, cls)]
        logger.addHandler(log)
        logger.setLevel(logging.DEBUG)
        return log

    @property
    def refused(self) -> Sequence[str]:
        """The last requests that were refused, the oldest first."""
        return tuple(self._refused)

    def emit(self, record: logging.LogRecord) -> None:
        """Show and keep it."""
        from shipml.http.trace import Exchange

        (exchange,) = record.args if isinstance(record.args, tuple) and record.args else (None,)
        if not isinstance(exchange, Exchange):
            return
        if (exchange.status or 0) >= _REFUSED:
            self._refused.append(str(exchange))
        if self._say is not None:
            self._say(f"http      {exchange}")
