"""What stand-ins were asked: for assertions, without any secret."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["RequestLog", "Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request and how it was answered."""

    service: str
    """"entra", "imds", "arm", "blob", "acr demoint", "hub auth", "hub registry", "github"."""
    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    status: int
    identity: str
    """Who asked, by name; "" for nobody or unknown."""
    scopes: tuple[str, ...]
    """Those asked for, where tokens were; as docker writes them, or an Entra audience."""
    note: str
    """The fault that was hit."""
    host: str = ""
    """Under which name the service was asked."""


class RequestLog:
    """All requests to all stand-ins of a cloud, in the order of their answers."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._lock = threading.Lock()
        self.mistakes: list[str] = []
        """Tracebacks of the stand-ins' own failures; the fixtures assert that there are none."""

    def add(self, seen: Seen) -> None:
        """Keep one more."""
        with self._lock:
            self._seen.append(seen)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._seen.clear()

    def find(self, service: str = "", method: str = "", path: str = "", status: int | None = None) -> list[Seen]:
        """Those of a service (or several whose names start so), a method, a path (regular expression), a status."""
        with self._lock:
            seen = list(self._seen)
        return [
            one
            for one in seen
            if one.service.startswith(service)
            and (not method or one.method == method)
            and (not path or re.search(path, one.path))
            and (status is None or one.status == status)
        ]

    def scopes(self, service: str = "acr") -> set[str]:
        """Every scope that was asked for."""
        return {scope for one in self.find(service) for scope in one.scopes}
