"""Stands in for Docker Hub: its token service and its rate limits, in front of a real docker-registry."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.peers.acr_tokens import deny, scopes_of
from tests.peers.clock import Clock
from tests.peers.faults import Fault, Faults
from tests.peers.marks import marked
from tests.peers.registry_behind import RegistryBehind, Starter
from tests.peers.registry_copy import Place
from tests.peers.stand_in_http import Answer, Request, StandIn
from tests.peers.stand_in_tls import Authority
from tests.peers.way import Way

__all__ = ["Account", "Hub"]

_REGISTRY, _AUTH, _SERVICE = "registry-1.docker.io", "auth.docker.io", "registry.docker.io"
_REALM = f"https://{_AUTH}/token"
_MANIFEST = re.compile(r"/v2/(.+)/manifests/.+")
_TOKEN_SECONDS = 300
_WINDOW_SECONDS = 21600
_LIMIT = "https://www.docker.com/increase-rate-limit"


@dataclass(slots=True)
class Account:
    """Somebody at Docker Hub."""

    name: str
    password: str = field(default="", repr=False)
    tokens: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    """Personal access tokens (PAT) → what each may do."""
    needs_token: bool = False
    """Whether the password is refused because a PAT is demanded."""

    def __post_init__(self) -> None:
        self.password = self.password or marked(f"password-of-{self.name}")


class Hub:
    """Docker Hub's two hosts; anything of it may be changed by a test."""

    def __init__(self, authority: Authority, clock: Clock, starter: Starter, way: Way) -> None:
        self.faults = Faults()
        self.log = way.log
        self.way = way
        self._clock, self._authority = clock, authority
        self.read_write, self.read_only = marked("hub-token"), marked("hub-token-read-only")
        rights = {self.read_write: frozenset({"pull", "push"}), self.read_only: frozenset({"pull"})}
        self.accounts = [Account("demo", tokens=rights), Account("strict", needs_token=True)]
        self.public = {"library"}
        """Namespaces that everybody may pull from; an account's own it may pull always."""
        self.limits = {"": 100, "demo": 200}
        """Pulls in six hours, by account; "" for nobody's."""
        self._pulls: dict[str, int] = {}
        self._lock = threading.Lock()
        self.token_seconds = _TOKEN_SECONDS
        self.behind = RegistryBehind(starter, authority, realm=_REALM, service=_SERVICE, issuer=_AUTH)
        tls = authority.server_context()
        self.auth = StandIn("hub auth", self._token, log=way.log, tls=tls)
        self.server = StandIn("hub registry", self._answer, log=way.log, tls=tls)
        way.lead(_REGISTRY, self.server)
        way.lead(_AUTH, self.auth)

    def place(self, repository: str) -> Place:
        """A repository of the real registry, for the stand-ins' own work."""
        token = self.behind.token(
            "stand-in", [(repository, ["pull", "push"])], issued_at=self._clock.now(), seconds=600
        )
        return Place(self.behind.registry.url, repository, token)

    def environment(self) -> dict[str, str]:
        """Environment variables with which clients find it and trust it."""
        return self.way.environment(self._authority)

    def reset(self) -> None:
        """As it was, but for what was pushed."""
        self.faults.clear()
        with self._lock:
            self._pulls.clear()

    def close(self) -> None:
        """Stop it."""
        self.auth.close()
        self.server.close()
        self.behind.close()

    def _token(self, request: Request) -> Answer:
        """`GET /token` with Basic or nothing; `POST` as OAuth 2 with a password (Hub has no refresh tokens of ours)."""
        if request.path != "/token":
            return Answer.of({"details": "not found"}, 404)
        if request.method == "POST":
            form = request.form()
            scopes, service = form.get("scope", "").split(), form.get("service", "")
            given: tuple[str, str] | None = (form.get("username", ""), form.get("password", ""))
        else:
            scopes = [word for value in request.query.get("scope", []) for word in value.split()]
            service, given = request.asked("service"), _basic(request)
        if service != _SERVICE:
            return Answer.of({"details": "invalid service"}, 400)
        rights: frozenset[str] = frozenset({"pull"})
        account = None
        if given is not None:
            account = next((one for one in self.accounts if one.name == given[0]), None)
            found = _rights(account, given[1]) if account else "incorrect username or password"
            if isinstance(found, str):
                answer = Answer.of({"details": found}, 401)
                answer.scopes, answer.note = tuple(scopes), "refused"
                return answer
            rights = found
        name = account.name if account else ""
        token = self.behind.token(
            name, self._granted(scopes, name, rights), issued_at=self._clock.now(), seconds=self.token_seconds
        )
        answer = Answer.of({"token": token, "access_token": token, "expires_in": self.token_seconds}, identity=name)
        answer.scopes = tuple(scopes)
        return answer

    def _granted(self, scopes: list[str], name: str, rights: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
        for scope in scopes:
            _, repository, actions = scopes_of(scope)
            namespace = repository.partition("/")[0]
            allowed = rights if namespace == name and name else frozenset({"pull"})
            if namespace != name and namespace not in self.public:
                allowed = frozenset()
            if granted := allowed & actions:
                yield repository, granted

    def _answer(self, request: Request) -> Answer:
        claims = self._authority.verify(request.bearer) if request.bearer else None
        expired = claims is not None and (claims["exp"] <= self._clock.now() or self.faults.due())
        name = str(claims["sub"]) if claims else ""
        if expired:
            answer = deny(401, "UNAUTHORIZED", "authentication required", note="expired")
            answer.headers["Www-Authenticate"] = f'Bearer realm="{_REALM}",service="{_SERVICE}",error="invalid_token"'
            return answer
        if claims is not None and _MANIFEST.fullmatch(request.path) and request.method in {"GET", "HEAD"}:
            return self._manifest(request, name)
        answer = self.behind.forward(request, host=_REGISTRY)
        answer.identity = name
        return answer

    def _manifest(self, request: Request, name: str) -> Answer:
        """A pull is a GET of a manifest; HEAD shows the limit without counting."""
        limit = self.limits.get(name, self.limits[""])
        with self._lock:
            if request.method == "GET":
                self._pulls[name] = self._pulls.get(name, 0) + 1
            used = self._pulls.get(name, 0)
        headers = {
            "ratelimit-limit": f"{limit};w={_WINDOW_SECONDS}",
            "ratelimit-remaining": f"{max(limit - used, 0)};w={_WINDOW_SECONDS}",
            "docker-ratelimit-source": name or "127.0.0.1",
        }
        if used > limit or self.faults.hit(Fault.RATE_LIMIT):
            text = "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading:"
            answer = deny(429, "TOOMANYREQUESTS", f"{text} {_LIMIT}", note="rate limit")
        else:
            answer = self.behind.forward(request, host=_REGISTRY)
        answer.headers |= headers
        answer.identity = name
        return answer


def _basic(request: Request) -> tuple[str, str] | None:
    header = request.headers.get("Authorization") or ""
    if not header:
        return None
    try:
        user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _rights(account: Account, secret: str) -> frozenset[str] | str:
    """What a password or PAT may do, or what Hub says where it is wrong."""
    if secret in account.tokens:
        return account.tokens[secret]
    if secret != account.password:
        return "incorrect username or password"
    if account.needs_token:
        return "your account must log in with a Personal Access Token (PAT)"
    return frozenset({"pull", "push"})
