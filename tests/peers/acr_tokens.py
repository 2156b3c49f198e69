"""The token service of the stand-in container registry (Azure/acr, docs/AAD-OAuth.md; distribution's token spec)."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from typing import Any

from tests.peers.acr_settings import AcrSettings
from tests.peers.directory import ACR_AUDIENCE, ARM_AUDIENCES, Directory
from tests.peers.faults import Fault
from tests.peers.identities import Identity, actions_of
from tests.peers.registry_behind import RegistryBehind
from tests.peers.stand_in_http import Answer, Request

__all__ = ["NULL_GUID", "AcrTokens", "deny", "scopes_of"]

NULL_GUID = "00000000-0000-0000-0000-000000000000"
"""The user name with which docker sends a refresh token as a password."""
_ISSUER = "Azure Container Registry"
_UNAUTHORIZED = "authentication required, visit https://aka.ms/acr/authorization for more information."
_ANYBODY = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a token."""

    name: str
    identity: Identity | None = None
    repositories: dict[str, frozenset[str]] | None = None
    """Of a repository token; None: as the identity's roles say, or all for the admin user."""
    refresh_token: str = ""


class AcrTokens:
    """Exchange, refresh and access tokens of one registry."""

    def __init__(self, settings: AcrSettings, directory: Directory, service: str, behind: RegistryBehind) -> None:
        self._settings, self._directory, self._service, self._behind = settings, directory, service, behind
        self.refresh_seconds = 11700
        self.access_seconds = 4500
        self._dead: set[str] = set()
        self._alive: dict[str, str] = {}
        """Token identifier → kind, of those that were not refused yet."""

    def exchange(self, request: Request) -> Answer:
        """`POST /oauth2/exchange`: an Entra token → a refresh token."""
        if request.method != "POST":
            return Answer.of({"errors": [{"code": "NOT_FOUND", "message": "404 page not found"}]}, 404)
        form = request.form()
        if form.get("grant_type") != "access_token" or form.get("service") != self._service:
            return deny(400, "BAD_REQUEST", "grant_type and service are wrong")
        claims = self._directory.read(form.get("access_token", ""))
        identity = self._directory.owner(claims) if claims else None
        if claims is None or identity is None:
            return deny(401, "UNAUTHORIZED", _UNAUTHORIZED)
        audience = str(claims["aud"]).rstrip("/")
        faults = self._settings.faults
        if audience not in ARM_AUDIENCES | {ACR_AUDIENCE} or (
            audience in ARM_AUDIENCES and faults.hit(Fault.ARM_AUDIENCE_OFF)
        ):
            return _by(identity, deny(401, "UNAUTHORIZED", _UNAUTHORIZED), "audience")
        if claims["tid"] != self._directory.tenant or form.get("tenant", claims["tid"]) != claims["tid"]:
            return _by(identity, deny(401, "UNAUTHORIZED", _UNAUTHORIZED), "tenant")
        return Answer.of({"refresh_token": self._refresh_token(identity)}, identity=identity.name)

    def token(self, request: Request) -> Answer:
        """`GET` (Basic or nothing) and `POST` (OAuth 2) `/oauth2/token` → an access token."""
        if request.method == "GET":
            scopes = [word for value in request.query.get("scope", []) for word in value.split()]
            service, caller = request.asked("service"), self._caller_of_basic(request)
            offline = request.asked("offline_token") == "true"
        else:
            form = request.form()
            scopes, service, offline = form.get("scope", "").split(), form.get("service", ""), False
            caller = self._caller_of_form(form)
        refused = self._refuse(service, caller, scopes)
        if refused is not None or caller is None:
            answer = refused or deny(401, "UNAUTHORIZED", _UNAUTHORIZED)
        else:
            document = {"access_token": self._access_token(caller, scopes)}
            if offline and caller.refresh_token:
                document["refresh_token"] = caller.refresh_token
            answer = Answer.of(document)
        answer.scopes = tuple(scopes)
        answer.identity = caller.name if caller else ""
        return answer

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of an access token that is good now."""
        claims = self._directory.read(token)
        return None if claims is None or claims.get("jti") in self._dead else claims

    def expire(self, *kinds: str) -> None:
        """Tokens of these kinds ("access", "refresh") that were given out so far are refused from now on."""
        self._dead |= {name for name, kind in list(self._alive.items()) if kind in kinds}

    def internal(self, *access: tuple[str, list[str]]) -> str:
        """A token for the stand-ins' own work."""
        return self._behind.token("stand-in", access, issued_at=self._directory.clock.now(), seconds=600)

    def lets_pull(self, user: str, password: str, repository: str) -> bool:
        """Whether these credentials, or nobody's where both are "", may pull."""
        caller = self._caller(user, password) if user else Caller(_ANYBODY)
        if caller is None or (caller.name == _ANYBODY and not self._settings.anonymous_pull):
            return False
        return "pull" in self.allowed(caller, repository)

    def allowed(self, caller: Caller, repository: str) -> frozenset[str]:
        """What a caller may do to a repository."""
        if caller.repositories is not None:
            return caller.repositories.get(repository, frozenset())
        if caller.name == _ANYBODY:
            return frozenset({"pull", "metadata_read"})
        everything = frozenset({"pull", "push", "delete", "metadata_read", "metadata_write", "*"})
        if caller.identity is not None:
            abac = self._settings.abac or Fault.ABAC in self._settings.faults
            everything = actions_of(caller.identity, self._settings.name, repository, abac=abac)
        return everything - {"push", "delete", "*"} if Fault.PULL_ONLY in self._settings.faults else everything

    def _refuse(self, service: str, caller: Caller | None, scopes: list[str]) -> Answer | None:
        if service != self._service or caller is None:
            return deny(401, "UNAUTHORIZED", _UNAUTHORIZED)
        if caller.name == _ANYBODY and not (scopes and self._settings.anonymous_pull):
            return deny(401, "UNAUTHORIZED", _UNAUTHORIZED)
        if caller.identity is not None:
            nothing = not any(grant.registry in {"*", self._settings.name} for grant in caller.identity.grants)
            if nothing or self._settings.faults.hit(Fault.NO_ROLE):
                return _by(caller.identity, deny(401, "UNAUTHORIZED", _UNAUTHORIZED), "no role")
        return None

    def _caller_of_basic(self, request: Request) -> Caller | None:
        header = request.headers.get("Authorization") or ""
        if not header:
            return Caller(_ANYBODY)
        try:
            user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._caller(user, password)

    def _caller_of_form(self, form: dict[str, str]) -> Caller | None:
        if form.get("grant_type") == "refresh_token":
            return self._caller(NULL_GUID, form.get("refresh_token", ""))
        if "username" in form:
            return self._caller(form["username"], form.get("password", ""))
        return Caller(_ANYBODY)

    def _caller(self, user: str, password: str) -> Caller | None:
        settings = self._settings
        if user == NULL_GUID:
            claims = self.read(password)
            identity = self._directory.owner(claims) if claims and claims.get("grant_type") == "refresh_token" else None
            return Caller(identity.name, identity, refresh_token=password) if identity else None
        if user == settings.name:
            enabled = settings.admin_enabled and Fault.ADMIN_OFF not in settings.faults
            return Caller("admin") if enabled and password in settings.admin_passwords else None
        if user in settings.repository_tokens:
            expected, repositories = settings.repository_tokens[user]
            return Caller(user, repositories=repositories) if password == expected else None
        identity = self._directory.by_client(user)
        return Caller(identity.name, identity) if identity and password == identity.secret else None

    def _refresh_token(self, identity: Identity) -> str:
        now = self._directory.clock.now()
        name = str(uuid.uuid4())
        self._alive[name] = "refresh"
        return self._directory.authority.sign(
            {
                "jti": name,
                "sub": identity.object_id,
                "nbf": now - 900,
                "iat": now - 900,
                "exp": now - 900 + self.refresh_seconds,
                "iss": _ISSUER,
                "aud": self._service,
                "version": "1.0",
                "rid": self._settings.resource_uid,
                "grant_type": "refresh_token",
                "appid": identity.client_id,
                "oid": identity.object_id,
                "tenant": identity.tenant,
                "permissions": {"Actions": ["read", "write"], "NotActions": None},
                "roles": [],
            }
        )

    def _access_token(self, caller: Caller, scopes: list[str]) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scopes_of(scope)
            if kind == "registry":
                access.append((f"registry:{name}", frozenset({"*"}) if caller.name != _ANYBODY else frozenset()))
            else:
                access.append((name, self.allowed(caller, name) & actions))
        granted = [(name, actions) for name, actions in access if actions]
        now = self._directory.clock.now()
        token = self._behind.token(caller.name, granted, issued_at=now, seconds=self.access_seconds)
        claims = self._directory.authority.verify(token) or {}
        self._alive[str(claims["jti"])] = "access"
        return token


def scopes_of(scope: str) -> tuple[str, str, frozenset[str]]:
    """`repository:ml/app:pull,push` → its kind, name and actions."""
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind, name, frozenset(actions.split(","))


def deny(status: int, code: str, message: str, note: str = "") -> Answer:
    """An error as the distribution spec has it."""
    answer = Answer.of({"errors": [{"code": code, "message": message}]}, status)
    answer.note = note
    return answer


def _by(identity: Identity, answer: Answer, note: str) -> Answer:
    answer.identity, answer.note = identity.name, note
    return answer
