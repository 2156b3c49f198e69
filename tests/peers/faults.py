"""What can go wrong in the stand-ins, switched on by tests."""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Fault", "Faults"]


class Fault(enum.Enum):
    """One for each row of the documented failures."""

    NO_ROLE = "the identity has no role on the registry (no token), nor any right in ARM"
    PULL_ONLY = "whoever asks may pull only: tokens come without push"
    FIREWALL = "the login server refuses this address with 403, before any challenge"
    THROTTLE = "429 TOOMANYREQUESTS with Retry-After"
    EXPIRED = "every few requests all access tokens given out so far are refused"
    REFRESH_EXPIRED = "as EXPIRED, for the registry's refresh tokens too: a new exchange is needed"
    ARM_AUDIENCE_OFF = "the registry takes no tokens for ARM (azureADAuthenticationAsArmPolicy disabled)"
    ACR_AUDIENCE_OFF = "Entra does not know the audience of container registries (AADSTS50001)"
    ABAC = "only the roles of repositories count (roleAssignmentMode AbacRepositoryPermissions)"
    ADMIN_OFF = "the admin user is disabled"
    TAG_EXISTS = "importImage finds the tag taken"
    WRONG_TENANT = "tokens come from another tenant than the registry's"
    TASKS_NOT_ALLOWED = "400 TasksOperationsNotAllowed"
    NO_ARM = "no right in ARM: lists are empty, the rest is 403 AuthorizationFailed"
    IMPORT_FORBIDDEN = "importImage is 403: the right on the linked scope is missing"
    RATE_LIMIT = "Docker Hub's pull rate limit is used up"


class Faults:
    """Those that are on; threads share it."""

    def __init__(self) -> None:
        self._left: dict[Fault, int | None] = {}
        self._lock = threading.Lock()
        self.expire_every = 5
        """With EXPIRED: after how many requests to the registry."""
        self.retry_after_seconds = 0
        """What THROTTLE says."""
        self._requests = 0

    def set(self, fault: Fault, times: int | None = None) -> None:
        """Switch it on, for that many requests only if `times` is given."""
        with self._lock:
            self._left[fault] = times

    def clear(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._left.clear()
            self.expire_every, self.retry_after_seconds, self._requests = 5, 0, 0

    def __contains__(self, fault: Fault) -> bool:
        with self._lock:
            return fault in self._left

    def hit(self, fault: Fault) -> bool:
        """Whether this request meets it."""
        with self._lock:
            if fault not in self._left:
                return False
            left = self._left[fault]
            if left is not None:
                if left <= 1:
                    del self._left[fault]
                else:
                    self._left[fault] = left - 1
            return True

    def due(self) -> bool:
        """Whether it is time for EXPIRED; each call counts as a request."""
        with self._lock:
            if not {Fault.EXPIRED, Fault.REFRESH_EXPIRED} & self._left.keys():
                return False
            self._requests += 1
            return self._requests % self.expire_every == 0

    @contextmanager
    def on(self, *faults: Fault) -> Iterator[None]:
        """Switch them on for a `with` block."""
        for fault in faults:
            self.set(fault)
        try:
            yield
        finally:
            with self._lock:
                for fault in faults:
                    self._left.pop(fault, None)
