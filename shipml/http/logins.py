"""Who one is to which server: what a project or the environment says about package indexes, for our own downloads."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from shipml.http.settings import basic

__all__ = ["Keyring", "Login", "Logins", "keyring_program"]

_KEYRING_SECONDS = 30.0
_PORTS = {"http": 80, "https": 443}

Keyring: TypeAlias = Callable[[str, str], str]
"""(service, user) → password, "" for none."""


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials for what lies below an address."""

    url: str = field(repr=False)
    """Of an index, page or file; user and password in it count where the two below are ""."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def user(self) -> str:
        """The user's name."""
        return self.username or unquote(_split(self.url).username or "")

    @property
    def secret(self) -> str:
        """The password."""
        return self.password or unquote(_split(self.url).password or "")

    def serves(self, url: str) -> bool:
        """Whether `url` is on the same server: scheme, host and port (RFC 6454), as uv sees it."""
        return _origin(self.url) == _origin(url) != ("", "", 0)

    def nearness(self, url: str) -> int:
        """How many first folders of the path both have."""
        mine, other = (urlsplit(one).path.strip("/").split("/") for one in (self.url, url))
        count = 0
        while count < min(len(mine), len(other)) and mine[count] == other[count]:
            count += 1
        return count


class Logins:
    """The known logins; safe to share between threads. What a keyring knows is asked for when it is needed, once."""

    def __init__(self, known: Iterable[Login] = (), *, keyring: Keyring | None = None) -> None:
        self._known = list(known)
        self._keyring = keyring
        self._from_keyring: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def learn(self, logins: Iterable[Login], *, keyring: Keyring | None = None) -> None:
        """More of them; those that were known before count after these."""
        with self._lock:
            new = list(logins)
            self._known = new + [one for one in self._known if one not in new]
            self._keyring = keyring or self._keyring

    def authorization(self, url: str) -> str:
        """The value of an Authorization header for `url`; "" where nothing is known."""
        with self._lock:
            fitting = [one for one in self._known if one.user and _serves(one, url)]
            best = max(fitting, key=lambda one: (bool(one.secret), one.nearness(url)), default=None)
            if best is None:
                return ""
            secret = best.secret or self._asked(best, url)
        return basic(best.user, secret)

    def _asked(self, login: Login, url: str) -> str:
        """What the keyring says for the index, else for its host: as uv asks it."""
        if self._keyring is None:
            return ""
        parts = urlsplit(login.url)
        index = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        for service in (index, urlsplit(url).netloc.rpartition("@")[2]):
            key = (service, login.user)
            if key not in self._from_keyring:
                self._from_keyring[key] = self._keyring(*key)
            if self._from_keyring[key]:
                return self._from_keyring[key]
        return ""


def _split(url: str) -> SplitResult:
    """The parts; of what is not a URL, such as `https://user:pa[ss@host`, none: uv says what is wrong with it."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _serves(login: Login, url: str) -> bool:
    try:
        return login.serves(url)
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme.lower(), 0)


def keyring_program(service: str, user: str) -> str:
    """What the program `keyring` says (uv's keyring-provider = subprocess); "" for nothing."""
    try:
        done = subprocess.run(
            ["keyring", "get", service, user],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_KEYRING_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip("\r\n") if done.returncode == 0 else ""
