"""Asks a registry's token service: with GET (distribution, spec/auth/token) or POST (spec/auth/oauth)."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from shipml.errors import NotAllowedError, TryAgainError, UntrustedInputError
from shipml.http import redacted
from shipml.http.settings import basic
from shipml.registry.address import Address
from shipml.registry.credentials import Credentials
from shipml.registry.errors import said
from shipml.registry.transport import Response, Transport, read_answer

__all__ = [
    "NULL_GUID",
    "Challenge",
    "Token",
    "TokenRefusedError",
    "TokenService",
    "expires_at_seconds",
    "owner_of",
    "parse_challenges",
    "tenant_of",
]

_CLIENT = "shipml"
_LIFETIME_SECONDS = 60
"""Of a token that does not say (spec/auth/token, "expires_in")."""
_MARGIN = 0.25
_LATEST_SECONDS = 1e11
"""No POSIX time that is meant: the year 5138."""
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
        words = said(answer, credentials.secrets)
        return self._read(answer, asked_at_seconds, words)

    def _get(
        self, realm: str, fields: list[tuple[str, str]], scopes: tuple[str, ...], credentials: Credentials
    ) -> Response:
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
    ) -> Response:
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

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Response:
        return self._transport.with_retries(lambda: read_answer(self._transport.send(method, url, headers, body), url))

    def _read(self, answer: Response, asked_at_seconds: float, words: str) -> Token:
        where = redacted(answer.url)
        if answer.status in _REFUSED:
            raise TokenRefusedError(
                f"{where} did not issue a token for {self._address.registry}: {answer.status}{words}", said=words
            )
        if answer.status != HTTPStatus.OK:
            raise TryAgainError(f"{where} answered {answer.status} where a token was asked for")
        try:
            document = json.loads(answer.data)
            value = document.get("token") or document.get("access_token")
            lifetime_seconds = float(document.get("expires_in") or _LIFETIME_SECONDS)
        except (
            ValueError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ):  # their texts may quote the token
            raise UntrustedInputError(f"{where} did not answer with a token") from None
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise UntrustedInputError(f"{where} did not answer with a token")
        if not math.isfinite(lifetime_seconds):
            raise UntrustedInputError(f"{where} did not answer with a token")
        margin_seconds = min(lifetime_seconds * _MARGIN, _LONGEST_MARGIN_SECONDS)
        return Token(value, asked_at_seconds + max(lifetime_seconds, 0) - margin_seconds)


NULL_GUID = "00000000-0000-0000-0000-000000000000"
"""The user name that stands beside a refresh token, in docker's configuration as in requests (Azure/acr, AAD-OAuth)."""


def expires_at_seconds(token: str) -> float:
    """When it ends (POSIX time); 0.0 where that cannot be read."""
    found = _claims(token).get("exp")
    return float(found) if isinstance(found, int | float) and abs(found) < _LATEST_SECONDS else 0.0


def owner_of(token: str) -> str:
    """The identity's object id, else its application id, else ""."""
    claims = _claims(token)
    return next((str(claims[name]) for name in ("oid", "appid", "sub") if claims.get(name)), "")


def tenant_of(token: str) -> str:
    """The tenant whose identity it is; "" where that cannot be read."""
    claims = _claims(token)
    return str(claims.get("tid") or claims.get("tenant") or "")


def _claims(token: str) -> dict[str, Any]:
    """The second part of a JSON Web Token (RFC 7519)."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  (header, claims, signature)
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  (a grammar)
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))(?=[\s,]|$)')
_SCHEME = re.compile(rf"({_TOKEN})(?=\s|,|$)")
_LIMIT = 16 << 10
"""Characters of a header that are looked at."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme with its parameters."""

    scheme: str
    """In lower case: `bearer`, `basic`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case: `realm`, `service`, `scope`, `error`."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a token must allow, in the registry's order: `repository:NAME:pull,push`."""
        return tuple(self.parameters.get("scope", "").split())


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of all `headers`, in their order; what cannot be read is left out."""
    found: list[Challenge] = []
    for header in headers:
        found.extend(_parse(header[:_LIMIT]))
    return tuple(found)


def _parse(header: str) -> list[Challenge]:
    """Commas separate challenges as well as parameters: a word that no `=` follows begins a challenge."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while position < len(header):
        if header[position] in " \t,":
            position += 1
        elif found and (match := _PARAMETER.match(header, position)):
            name, quoted, plain = match.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
            position = match.end()
        elif match := _SCHEME.match(header, position):
            found.append((match[1].lower(), {}))
            position = match.end()
        else:
            end = header.find(",", position)
            position = len(header) if end < 0 else end
    return [Challenge(scheme, parameters) for scheme, parameters in found]
