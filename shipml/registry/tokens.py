"""What to put into Authorization: Basic, or a token of the service that the registry names (distribution, spec).

A token serves one set of scopes until shortly before it expires; threads that need the same one wait for the first.
Credentials go to the registry and to the token service that it names, and nowhere else.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from shipml.http.settings import basic
from shipml.oci.reference import Reference
from shipml.registry.address import Address
from shipml.registry.credentials import Credentials
from shipml.registry.keychain import Keychain
from shipml.registry.scopes import Access, merge_scopes
from shipml.registry.token_service import Challenge, Token, TokenRefusedError, TokenService
from shipml.registry.transport import Transport

__all__ = ["Tokens"]


@dataclass(slots=True)
class _Entry:
    """What is known for one set of scopes."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    demanded: tuple[str, ...] = ()
    token: Token | None = None


class Tokens:
    """Authorization for one registry; safe to share between threads."""

    def __init__(self, address: Address, keychain: Keychain, transport: Transport) -> None:
        self._address = address
        self._keychain = keychain
        self._service = TokenService(address, transport)
        self._challenge: Challenge | None = None
        self._entries: defaultdict[Access, _Entry] = defaultdict(_Entry)
        self._credentials: dict[str, Credentials] = {}
        self._lock = threading.RLock()

    def credentials(self, repository: str) -> Credentials:
        """Those used for a repository, from the keychain when they are first needed."""
        with self._lock:
            if repository not in self._credentials:
                self._credentials[repository] = self._keychain.credentials(self._reference(repository))
            return self._credentials[repository]

    def header(self, access: Access) -> str:
        """The value of Authorization; "" for none, as before the registry has demanded any.

        Raises:
            TokenRefusedError: the token service refuses the credentials, renewed ones too.
            TryAgainError: it gives no answer.
            UntrustedInputError: it is not to be asked, or answers nonsense.
        """
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            credentials = self.credentials(access.repository)
            return basic(credentials.username, credentials.password or credentials.identity_token)
        entry = self._entry(access)
        with entry.lock:
            if entry.token is None or entry.token.renew_at_seconds <= time.monotonic():
                entry.token = self._token(challenge, access, entry)
            return f"Bearer {entry.token.value}"

    def refused(self, access: Access, header: str, challenges: Iterable[Challenge], *, fresh: bool) -> bool:
        """Take note that the registry answered `header` with 401; returns whether there may be a better one now.

        Args:
            access: what the request needed.
            header: what it carried.
            challenges: what the registry demands.
            fresh: the header was made for this very request, so that only other credentials can help.
        """
        challenge = _choose(challenges)
        if challenge is None:
            return False
        entry = self._entry(access)
        with entry.lock:
            if entry.token is not None and header != f"Bearer {entry.token.value}":
                return True  # another thread has a newer one already
            entry.token = None
            entry.demanded = tuple(dict.fromkeys((*challenge.scopes, *entry.demanded)))
            self._challenge = challenge
            if challenge.scheme == "bearer" and not fresh:
                return True
            if not header and challenge.scheme == "basic":
                return bool(self.credentials(access.repository))
            return self._renew(access.repository, self.credentials(access.repository))

    def _token(self, challenge: Challenge, access: Access, entry: _Entry) -> Token:
        scopes = merge_scopes(entry.demanded, access.scopes)
        used = self.credentials(access.repository)
        try:
            return self._service.token(challenge, scopes, used)
        except TokenRefusedError:
            if not self._renew(access.repository, used):
                raise
        return self._service.token(challenge, scopes, self.credentials(access.repository))

    def _renew(self, repository: str, used: Credentials) -> bool:
        """Ask the keychain for others than those that were refused, unless another thread has done so."""
        with self._lock:
            if self.credentials(repository) != used:
                return True
            renewed = self._keychain.renew(self._reference(repository), used) if used else None
            if not renewed:
                return False
            self._credentials[repository] = renewed
            return True

    def _entry(self, access: Access) -> _Entry:
        with self._lock:
            return self._entries[access]

    def _reference(self, repository: str) -> Reference:
        return Reference(self._address.registry, repository)


def _choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """Tokens before passwords, as docker does."""
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme and (scheme == "basic" or challenge.parameters.get("realm")):
                return challenge
    return None
