"""Asks a registry's token service: with GET (distribution, spec/auth/token) or POST (spec/auth/oauth)."""

from __future__ import annotations

import json
import time
import urllib.parse
from dataclasses import dataclass, field
from http import HTTPStatus

from shipml.errors import NotAllowedError, TryAgainError, UntrustedInputError
from shipml.http import redacted
from shipml.http.settings import basic
from shipml.registries.acr_token import NULL_GUID
from shipml.registries.address import Address
from shipml.registries.answers import said
from shipml.registries.challenge import Challenge
from shipml.registries.credentials import Credentials
from shipml.registries.transport import Answer, Transport, read_answer

__all__ = ["Token", "TokenRefusedError", "TokenService"]

_CLIENT = "shipml"
_LIFETIME_SECONDS = 60
"""Of a token that does not say (spec/auth/token, "expires_in")."""
_MARGIN = 0.25
"""Of its lifetime, but at most _LONGEST_MARGIN_SECONDS: by so much earlier a token is renewed."""
_LONGEST_MARGIN_SECONDS = 60.0
_NO_SUCH_FLOW = (404, 405, 501)
_REFUSED = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class Token:
    """One token."""

    value: str = field(repr=False)
    renew_at_seconds: float
    """By the monotonic clock."""


class TokenRefusedError(NotAllowedError):
    """The token service refuses the credentials."""


class TokenService:
    """Gets tokens of whatever service a challenge names."""

    def __init__(self, address: Address, transport: Transport) -> None:
        self._address = address
        self._transport = transport

    def token(self, challenge: Challenge, scopes: tuple[str, ...], credentials: Credentials) -> Token:
        """A new token; one for everybody where there are no credentials.

        Raises:
            TokenRefusedError: the credentials are refused.
            UntrustedInputError: the service is at an address that must not be asked, or answers nonsense.
            TryAgainError: it gives no answer.
        """
        realm = challenge.parameters["realm"]
        self._address.check(realm, "what gives out tokens")
        fields = [("service", service)] if (service := challenge.parameters.get("service")) else []
        asked_at_seconds = time.monotonic()
        flows = (self._post, self._get) if credentials.identity_token else (self._get, self._post)
        answer = flows[0](realm, fields, scopes, credentials)
        if answer.status in _NO_SUCH_FLOW and credentials:
            answer = flows[1](realm, fields, scopes, credentials)
        words = said(answer)
        if any(secret in words for secret in (credentials.password, credentials.identity_token) if secret):
            words = ""
        return self._read(answer, asked_at_seconds, words)

    def _get(
        self, realm: str, fields: list[tuple[str, str]], scopes: tuple[str, ...], credentials: Credentials
    ) -> Answer:
        headers = {}
        if credentials:
            # Azure wants this name beside an identity token; other services ignore it.
            username = credentials.username or (NULL_GUID if credentials.identity_token else "")
            headers["Authorization"] = basic(username, credentials.identity_token or credentials.password)
            fields = [*fields, ("account", username)]
        query = urllib.parse.urlencode([*fields, ("client_id", _CLIENT), *(("scope", scope) for scope in scopes)])
        separator = "&" if urllib.parse.urlsplit(realm).query else "?"
        return self._ask("GET", f"{realm}{separator}{query}", headers, None)

    def _post(
        self, realm: str, fields: list[tuple[str, str]], scopes: tuple[str, ...], credentials: Credentials
    ) -> Answer:
        if credentials.identity_token:
            grant = [("grant_type", "refresh_token"), ("refresh_token", credentials.identity_token)]
        else:
            grant = [
                ("grant_type", "password"),
                ("username", credentials.username),
                ("password", credentials.password),
            ]
        form = urllib.parse.urlencode([*grant, *fields, ("client_id", _CLIENT), ("scope", " ".join(scopes))])
        return self._ask("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, form.encode())

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        return self._transport.patiently(lambda: read_answer(self._transport.send(method, url, headers, body), url))

    def _read(self, answer: Answer, asked_at_seconds: float, words: str) -> Token:
        where = redacted(answer.url)
        if answer.status in _REFUSED:
            raise TokenRefusedError(f"{where} gives out no token for {self._address.registry}: {answer.status}{words}")
        if answer.status != HTTPStatus.OK:
            raise TryAgainError(f"{where} answered {answer.status} where a token was asked for")
        try:
            document = json.loads(answer.data)
            value = document.get("token") or document.get("access_token")
            lifetime_seconds = float(document.get("expires_in") or _LIFETIME_SECONDS)
        except (ValueError, TypeError, AttributeError):  # their texts may quote the token
            raise UntrustedInputError(f"{where} answers something else than a token") from None
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise UntrustedInputError(f"{where} answers something else than a token")
        margin_seconds = min(lifetime_seconds * _MARGIN, _LONGEST_MARGIN_SECONDS)
        return Token(value, asked_at_seconds + max(lifetime_seconds, 0) - margin_seconds)
