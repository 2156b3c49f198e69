"""Stand in for the token endpoints of machines: a virtual machine's (IMDS) and GitHub Actions' OpenID Connect."""

from __future__ import annotations

from tests.peers.directory import Directory
from tests.peers.entra import ASSERTION_AUDIENCE
from tests.peers.identities import Identity
from tests.peers.marks import marked
from tests.peers.request_log import RequestLog
from tests.peers.stand_in_http import Answer, Request, StandIn

__all__ = ["GitHubOidc", "Imds"]

_SECONDS = 86400


class Imds:
    """Plain HTTP, as on a virtual machine, where the address is link-local."""

    def __init__(self, directory: Directory, identity: Identity | None, log: RequestLog) -> None:
        """`identity` is the machine's; None: it has none."""
        self._directory = directory
        self.identity = identity
        self._server = StandIn("imds", self._answer, log=log)
        self.url, self.close = self._server.url, self._server.close

    def _answer(self, request: Request) -> Answer:
        if not request.path.startswith("/metadata/identity/oauth2/token"):
            return Answer.of({"error": "not_found"}, 404)
        if request.headers.get("Metadata", "").lower() != "true":
            return _refuse("Required metadata header not specified")
        wanted = request.asked("client_id")
        if self.identity is None or wanted not in {"", self.identity.client_id}:
            return _refuse("Identity not found")
        resource = request.asked("resource").rstrip("/")
        if resource not in set(self._directory.audiences()):
            return _refuse(f"AADSTS50001: The resource principal named {resource} was not found in the tenant")
        now = self._directory.clock.now()
        answer = Answer.of(
            {
                "access_token": self._directory.access_token(self.identity, resource),
                "client_id": self.identity.client_id,
                "expires_in": str(_SECONDS),
                "expires_on": str(now + _SECONDS),
                "not_before": str(now - 300),
                "resource": resource,
                "token_type": "Bearer",
            },
            identity=self.identity.name,
        )
        answer.scopes = (resource,)
        return answer


def _refuse(text: str) -> Answer:
    return Answer.of({"error": "invalid_request", "error_description": text}, 400)


class GitHubOidc:
    """Where a job with `permissions: id-token: write` gets its assertion."""

    def __init__(self, directory: Directory, subject: str, log: RequestLog) -> None:
        self._directory = directory
        self.subject = subject
        self.request_token = marked("github-request-token")
        self.assertion_seconds = 300
        self.server = StandIn("github", self._answer, log=log, tls=directory.authority.server_context())
        self.url, self.close = f"{self.server.url}/token?api-version=2.0", self.server.close

    def _answer(self, request: Request) -> Answer:
        if request.bearer != self.request_token:
            return Answer.of({"message": "Unauthorized"}, 401)
        audience = request.asked("audience") or "https://github.com/example"
        return Answer.of({"count": 1, "value": self.assertion(audience)})

    def assertion(self, audience: str = ASSERTION_AUDIENCE) -> str:
        """What it gives out; also what a pod with workload identity finds in AZURE_FEDERATED_TOKEN_FILE."""
        now = self._directory.clock.now()
        return self._directory.authority.sign(
            {
                "iss": "https://token.actions.githubusercontent.com",
                "aud": audience,
                "sub": self.subject,
                "iat": now,
                "nbf": now - 60,
                "exp": now + self.assertion_seconds,
            }
        )
