"""Stands in for an Azure Container Registry's login server: tokens of its own in front of a real docker-registry."""

from __future__ import annotations

import re
from typing import Any

from tests.peers.acr_settings import AcrSettings
from tests.peers.acr_tokens import AcrTokens, deny
from tests.peers.directory import Directory
from tests.peers.faults import Fault
from tests.peers.registry_behind import RegistryBehind, Starter
from tests.peers.registry_copy import Place
from tests.peers.request_log import RequestLog
from tests.peers.stand_in_http import Answer, Request, StandIn

__all__ = ["Acr"]

_ISSUER = "Azure Container Registry"
_TAGS = re.compile(r"/v2/(.+)/tags/list")
_CATALOGS = frozenset({"/v2/_catalog", "/acr/v1/_catalog"})


class Acr:
    """A registry; `settings` and `tokens` may be changed by a test."""

    def __init__(self, settings: AcrSettings, directory: Directory, starter: Starter, log: RequestLog) -> None:
        self.settings = settings
        self._directory = directory
        tls = directory.authority.server_context()
        self.server = StandIn(f"acr {settings.name}", self._answer, log=log, tls=tls)
        self.host = settings.login_server
        self.url = f"https://{self.host}"
        self.behind = RegistryBehind(
            starter, directory.authority, realm=f"{self.url}/oauth2/token", service=self.host, issuer=_ISSUER
        )
        self.tokens = AcrTokens(settings, directory, self.host, self.behind)

    def place(self, repository: str) -> Place:
        """A repository of the real registry, for the stand-ins' own work."""
        return Place(self.behind.registry.url, repository, self.tokens.internal((repository, ["pull", "push"])))

    def close(self) -> None:
        """Stop it."""
        self.server.close()
        self.behind.close()

    def _answer(self, request: Request) -> Answer:
        faults = self.settings.faults
        if faults.hit(Fault.FIREWALL) or not self.settings.public_network:
            address = "127.0.0.1"
            text = (
                f"client with IP '{address}' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
            )
            return deny(403, "DENIED", text, note="firewall")
        if request.path == "/oauth2/exchange":
            return self.tokens.exchange(request)
        if request.path == "/oauth2/token":
            return self.tokens.token(request)
        if faults.hit(Fault.THROTTLE):
            text = "Too many requests. Please visit https://aka.ms/acr/skus#sku-feature-matrix for more information."
            answer = deny(429, "TOOMANYREQUESTS", text, note="throttled")
            answer.headers["Retry-After"] = str(faults.retry_after_seconds)
            return answer
        if not request.path.startswith(("/v2/", "/acr/v1/")):
            return Answer.of({"errors": [{"code": "NOT_FOUND", "message": "404 page not found"}]}, 404)
        return self._data(request)

    def _data(self, request: Request) -> Answer:
        if request.bearer and self.settings.faults.due():
            refresh = Fault.REFRESH_EXPIRED in self.settings.faults
            self.tokens.expire("access", *(["refresh"] if refresh else []))
        claims = self.tokens.read(request.bearer) if request.bearer else None
        if request.bearer and claims is None:
            return self._expired(request)
        if (match := _TAGS.fullmatch(request.path)) is not None:
            answer = self._metadata(request, claims, match[1])
        elif request.path in _CATALOGS:
            answer = self._catalog(request, claims)
        else:
            answer = self.behind.forward(request, host=self.host)
        answer.identity = str(claims["sub"]) if claims else ""
        return answer

    def _metadata(self, request: Request, claims: dict[str, Any] | None, repository: str) -> Answer:
        """Tags: the action here is `metadata_read`, of which docker-registry knows nothing."""
        if not _grants(claims, repository, "metadata_read"):
            return self._challenge(f"repository:{repository}:metadata_read", claims)
        return self.behind.forward(request, host=self.host, bearer=self.tokens.internal((repository, ["pull"])))

    def _catalog(self, request: Request, claims: dict[str, Any] | None) -> Answer:
        if not _grants(claims, "catalog", "*"):
            return self._challenge("registry:catalog:*", claims)
        there = Request(request.method, "/v2/_catalog", "/v2/_catalog", {}, request.headers, request.body)
        return self.behind.forward(there, host=self.host, bearer=self.tokens.internal(("registry:catalog", ["*"])))

    def _challenge(self, scope: str, claims: dict[str, Any] | None, error: str = "") -> Answer:
        answer = deny(401, "UNAUTHORIZED", "authentication required")
        challenge = f'Bearer realm="{self.url}/oauth2/token",service="{self.host}"'
        challenge += f',scope="{scope}"' if scope else ""
        error = error or ("insufficient_scope" if claims is not None else "")
        answer.headers["Www-Authenticate"] = challenge + (f',error="{error}"' if error else "")
        return answer

    def _expired(self, request: Request) -> Answer:
        """The challenge of the registry for no token at all, but that it says why."""
        match = re.fullmatch(r"/v2/(.+)/(?:blobs|manifests|tags)/.*", request.path)
        actions = "pull" if request.method in {"GET", "HEAD"} else "pull,push"
        answer = self._challenge(f"repository:{match[1]}:{actions}" if match else "", None, "invalid_token")
        answer.note = "expired"
        return answer


def _grants(claims: dict[str, Any] | None, name: str, action: str) -> bool:
    granted = claims["access"] if claims else []
    return any(one["name"] == name and action in one["actions"] for one in granted)
