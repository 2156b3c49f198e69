"""Stands in for Microsoft Entra ID: what MSAL asks for, with the errors that it shows to people (AADSTS…)."""

from __future__ import annotations

import base64
import json
import re
import ssl
from dataclasses import dataclass

from tests.peers.directory import Directory
from tests.peers.identities import Identity
from tests.peers.marks import marked
from tests.peers.request_log import RequestLog
from tests.peers.stand_in_http import Answer, Request, StandIn

__all__ = ["Entra"]

_CLI_CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""The public application that the Azure command line and azure-identity's device code log in with."""
_ANY_TENANT = frozenset({"organizations", "common"})
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_AUDIENCE = "api://AzureADTokenExchange"


@dataclass(slots=True)
class _Login:
    """A device code that was given out."""

    scope: str
    polls_left: int


class Entra:
    """`device_user` is who types the code in; None: nobody ever does."""

    def __init__(self, directory: Directory, log: RequestLog, tls: ssl.SSLContext) -> None:
        self._directory = directory
        self._logins: dict[str, _Login] = {}
        self._refresh_tokens: dict[str, Identity] = {}
        self.device_user: Identity | None = directory.identities[0]
        self.device_pending_polls = 1
        """How often a poll hears `authorization_pending` first."""
        self.device_interval_seconds = 1
        self.server = StandIn("entra", self._answer, log=log, tls=tls)
        self.url, self.close = self.server.url, self.server.close

    def _answer(self, request: Request) -> Answer:
        tenant, _, path = request.path.strip("/").partition("/")
        known = tenant in _ANY_TENANT or any(one.tenant == tenant for one in self._directory.identities)
        if not known:
            text = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID"
            return _refuse(400, "invalid_tenant", 90002, text)
        if request.method == "GET" and path == "v2.0/.well-known/openid-configuration":
            return _configuration(f"{request.base}/{tenant}")
        if request.method == "GET" and path == "discovery/instance":
            return _instance(request)
        if request.method == "POST" and path == "oauth2/v2.0/devicecode":
            return self._device_code(request)
        if request.method == "POST" and path == "oauth2/v2.0/token":
            return self._token(tenant, request.form(), request.base)
        return Answer.of({"error": "not_found"}, 404)

    def _token(self, tenant: str, form: dict[str, str], base: str) -> Answer:
        grant = form.get("grant_type", "")
        if grant == _DEVICE_CODE:
            return self._finish_device_login(form, base)
        if grant == "refresh_token":
            user = self._refresh_tokens.get(form.get("refresh_token", ""))
            if user is None:
                return _refuse(400, "invalid_grant", 70043, "The refresh token has expired or is invalid")
            return self._grant(user, form.get("scope", ""), base)
        if grant != "client_credentials":
            return _refuse(400, "unsupported_grant_type", 70003, f"The grant type '{grant}' is not supported")
        client = form.get("client_id", "")
        identity = self._directory.by_client(client)
        if identity is None or tenant not in {identity.tenant, *_ANY_TENANT}:
            text = f"Application with identifier '{client}' was not found in the directory '{tenant}'"
            return _refuse(400, "unauthorized_client", 700016, text)
        refusal = self._refuse_client(identity, form)
        return refusal or self._grant(identity, form.get("scope", ""))

    def _refuse_client(self, identity: Identity, form: dict[str, str]) -> Answer | None:
        if form.get("client_assertion_type") == _ASSERTION:
            return self._refuse_assertion(identity, form.get("client_assertion", ""))
        if form.get("client_secret") == identity.secret:
            return None
        text = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
            f" not the client secret ID, for a secret added to app '{identity.client_id}'"
        )
        return _refuse(401, "invalid_client", 7000215, text)

    def _refuse_assertion(self, identity: Identity, assertion: str) -> Answer | None:
        claims = self._directory.authority.verify(assertion)
        if claims is None or claims.get("aud") != ASSERTION_AUDIENCE:
            return _refuse(401, "invalid_client", 700212, "No matching federated identity record found for audience")
        if claims.get("exp", 0) <= self._directory.clock.now():
            text = "Client assertion is not within its valid time range"
            return _refuse(401, "invalid_client", 700024, text)
        if claims.get("sub") == identity.federated_subject:
            return None
        text = f"No matching federated identity record found for presented assertion subject '{claims.get('sub')}'"
        return _refuse(401, "invalid_client", 700213, text)

    def _grant(self, identity: Identity, scope: str, user_base: str = "") -> Answer:
        """A token; `user_base` is our address where it is for a person, who gets a refresh token, too."""
        wanted = [word for word in scope.split() if word.startswith("https://")]
        audience = re.sub(r"/+\.default$", "", wanted[0]) if wanted else ""
        if audience not in set(self._directory.audiences()):
            text = (
                f"The resource principal named {audience} was not found in the tenant named {identity.tenant}."
                " This can happen if the application has not been installed by the administrator of the tenant"
            )
            return _refuse(400, "invalid_resource", 50001, text)
        seconds = self._directory.token_seconds
        document: dict[str, object] = {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": self._directory.access_token(identity, audience),
        }
        if user_base:
            document |= self._session_of(identity, wanted, user_base)
        answer = Answer.of(document, identity=identity.name)
        answer.scopes = (audience,)
        return answer

    def _session_of(self, user: Identity, scopes: list[str], base: str) -> dict[str, object]:
        """What a user's login has besides the token: MSAL keeps it for the next audience."""
        token = marked(f"entra-refresh-token-of-{user.name}")
        self._refresh_tokens[token] = user
        now = self._directory.clock.now()
        account = json.dumps({"uid": user.object_id, "utid": user.tenant}).encode()
        return {
            "scope": " ".join(scopes),
            "refresh_token": token,
            "client_info": base64.urlsafe_b64encode(account).decode().rstrip("="),
            "id_token": self._directory.authority.sign(
                {
                    "iss": f"{base}/{user.tenant}/v2.0",
                    "aud": _CLI_CLIENT,
                    "sub": user.object_id,
                    "oid": user.object_id,
                    "tid": user.tenant,
                    "preferred_username": f"{user.name}@example.org",
                    "iat": now,
                    "exp": now + 3600,
                }
            ),
        }

    def _device_code(self, request: Request) -> Answer:
        code = marked("device-code")
        self._logins[code] = _Login(request.form().get("scope", ""), self.device_pending_polls)
        place = f"{request.base}/devicelogin"
        return Answer.of(
            {
                "user_code": "STANDIN42",
                "device_code": code,
                "verification_uri": place,
                "expires_in": 900,
                "interval": self.device_interval_seconds,
                "message": f"To sign in, use a web browser to open the page {place} and enter the code STANDIN42"
                " to authenticate.",
            }
        )

    def _finish_device_login(self, form: dict[str, str], base: str) -> Answer:
        login = self._logins.get(form.get("device_code", ""))
        if login is None:
            return _refuse(400, "bad_verification_code", 70020, "The device code was not found")
        if self.device_user is None or login.polls_left > 0:
            login.polls_left -= 1
            text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling"
            return _refuse(400, "authorization_pending", 70016, text)
        return self._grant(self.device_user, login.scope, base)


def _configuration(base: str) -> Answer:
    return Answer.of(
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "issuer": f"{base}/v2.0",
        }
    )


def _instance(request: Request) -> Answer:
    """Whether an authority is one of Microsoft's."""
    host = request.headers["Host"]
    one = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
    place = request.asked("authorization_endpoint").partition("/oauth2/")[0]
    return Answer.of(
        {
            "tenant_discovery_endpoint": f"{place}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [one],
        }
    )


def _refuse(status: int, error: str, code: int, text: str) -> Answer:
    trace = "Trace ID: 00000000-0000-4000-8000-000000000000 Correlation ID: 00000000-0000-4000-8000-000000000000"
    answer = Answer.of(
        {"error": error, "error_description": f"AADSTS{code}: {text}. {trace}", "error_codes": [code]}, status
    )
    answer.note = f"AADSTS{code}"
    return answer
