"""PyTorch's own index: the builds of torch for one accelerator each, as lists of links (its layout is whl/cpu/torch/).

uv's --torch-backend knows the same addresses, but no mirror of them, waits at each run for a host that is not there,
and takes nothing as of a date, as these files have none. Lists of links have none of these troubles.
"""

from __future__ import annotations

import os

from shipml.http import Pools, redacted
from shipml.http.head import head
from shipml.http.logins import Login, Logins

__all__ = ["MIRROR", "PyTorchIndex"]

MIRROR = "SHIPML_PYTORCH_INDEX"
"""Names another address with the same layout."""
_ADDRESS = "https://download.pytorch.org/whl"
_TIMEOUT_SECONDS = 5.0
_FOUND = 200
_MISSING = (403, 404)  # a bucket that may not be listed says 403 for what it has not


class PyTorchIndex:
    """The index, as this session finds it: a host that did not answer once is not asked again."""

    def __init__(self, address: str = "", *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._address = (address or os.environ.get(MIRROR) or _ADDRESS).rstrip("/")
        self._pools = Pools(connections=2, block_bytes=1 << 16, timeout_seconds=timeout_seconds)
        self._logins = Logins([Login(self._address)])
        self._unreachable: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Its address, fit for messages."""
        return redacted(self._address)

    def page(self, backend: str, name: str) -> str:
        """The address of the list of a package's builds; may hold credentials."""
        return f"{self._address}/{backend}/{name}/"

    def unreachable(self, backend: str) -> str:
        """Why it cannot be asked, a clause; "" where it answers."""
        if backend not in self._unreachable:
            self._unreachable[backend] = self._ask(backend)
        return self._unreachable[backend]

    def size_bytes(self, url: str) -> int | None:
        """Of one of its files, which the lists do not tell; None where the server does not either."""
        answer = head(self._pools, url, self._logins)
        return answer.size_bytes if answer.status == _FOUND else None

    def _ask(self, backend: str) -> str:
        if os.environ.get("UV_OFFLINE", "").lower() in ("1", "true", "yes"):
            return "UV_OFFLINE is set"
        answer = head(self._pools, self.page(backend, "torch"), self._logins)
        if answer.status in (0, _FOUND):
            return answer.because
        return f"it has no builds for {backend}" if answer.status in _MISSING else f"it answered {answer.status}"
