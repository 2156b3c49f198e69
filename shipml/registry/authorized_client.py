"""Asking one registry: authorised, with_retries, and following it to where its blobs are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from shipml.errors import ShipmlError, UntrustedInputError
from shipml.http import redacted
from shipml.oci.documents import DOCUMENT_LIMIT_BYTES
from shipml.registry.address import Address
from shipml.registry.credentials import Credentials
from shipml.registry.errors import explained
from shipml.registry.scopes import Access
from shipml.registry.token_service import TokenRefusedError, parse_challenges
from shipml.registry.tokens import Tokens
from shipml.registry.transport import (
    InterruptedRequestError,
    Response,
    Transport,
    read_answer,
)

if TYPE_CHECKING:
    import urllib3

__all__ = ["AuthorizedClient", "Body", "Request"]

_REDIRECTS = (301, 302, 303, 307, 308)
_REDIRECT_LIMIT = 5
_AUTHORIZATION_ROUNDS = 3
"""Nothing or a token that has expired; a fresh one; one by renewed credentials."""

Body = bytes | Callable[[], Iterator[bytes]] | None
"""Of a request; a function makes it again for every attempt."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    url: str
    access: Access
    what: str
    """What it is for, to follow "cannot": `pull NAME`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = None
    patience: int = 1
    """By how much longer than usual the answer may take to begin."""


class AuthorizedClient:
    """Requests to one registry; safe to share between threads."""

    def __init__(self, address: Address, transport: Transport, tokens: Tokens) -> None:
        self.address = address
        self.transport = transport
        self.tokens = tokens

    def ask(self, request: Request, *fine: int, limit_bytes: int = DOCUMENT_LIMIT_BYTES) -> Response:
        """The answer, with one of the `fine` statuses.

        Raises:
            NotAllowedError: credentials are missing or refused.
            TryAgainError: no answer, after several attempts.
            UntrustedInputError: the answer is too large, or leads where it must not.
            ShipmlError: another status, explained.
        """
        return self.transport.with_retries(lambda: self.ask_once(request, fine, limit_bytes))

    def ask_once(self, request: Request, fine: Collection[int], limit_bytes: int = DOCUMENT_LIMIT_BYTES) -> Response:
        """As `ask`, but an interruption is raised at once."""
        response, url = self.open(request)
        answer = read_answer(response, url, limit_bytes)
        if answer.status not in fine:
            raise self.explain(answer, request)
        return answer

    def explain(
        self, answer: Response, request: Request, *, wrong_login: bool = False, because: str = ""
    ) -> ShipmlError:
        """The error for an answer that is none of those that were hoped for; see `registry.errors.explained`."""
        return explained(
            answer,
            self.address.registry,
            request.what,
            self._credentials(request),
            reads=request.access.reads,
            wrong_login=wrong_login,
            because=because,
        )

    def open(self, request: Request) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The answer of any status but 401, its body unread, and the URL that gave it: asked once."""
        url = request.url
        for _ in range(_REDIRECT_LIMIT):
            response = self._authorised(request, url)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location or request.method not in ("GET", "HEAD"):
                return response, url
            read_answer(response, url)
            url = self.address.follow(location, url, "where its content is")
        raise UntrustedInputError(f"{redacted(request.url)} redirects more than {_REDIRECT_LIMIT} times")

    def _authorised(self, request: Request, url: str) -> urllib3.BaseHTTPResponse:
        if not self.address.is_own(url):
            return self._send(request, url, "")
        for number in range(_AUTHORIZATION_ROUNDS):
            header = self._header(request)
            response = self._send(request, url, header)
            if response.status != HTTPStatus.UNAUTHORIZED:
                return response
            answer = read_answer(response, url)
            challenges = parse_challenges(response.headers.getlist("WWW-Authenticate"))
            last = number == _AUTHORIZATION_ROUNDS - 1
            fresh = number > 0
            if last or not self.tokens.refused(request.access, header, challenges, fresh=fresh):
                break
        only_passwords = bool(challenges) and all(one.scheme == "basic" for one in challenges)
        raise self.explain(answer, request, wrong_login=only_passwords)

    def _header(self, request: Request) -> str:
        try:
            return self.tokens.header(request.access)
        except TokenRefusedError as error:
            answer = Response(HTTPStatus.UNAUTHORIZED, {}, b"", request.url)
            refused = self.explain(answer, request, wrong_login=True, because=error.message)
            raise refused.worded(said=error.said) from error

    def _send(self, request: Request, url: str, authorization: str) -> urllib3.BaseHTTPResponse:
        headers = {**request.headers, "Authorization": authorization} if authorization else request.headers
        body = request.body() if callable(request.body) else request.body
        try:
            return self.transport.send(request.method, url, headers, body, patience=request.patience)
        except InterruptedRequestError as error:
            if error.status == HTTPStatus.TOO_MANY_REQUESTS:
                used = self._credentials(request)
                raise error.with_credentials(f"credentials used for {self.address.registry}: {used}") from error
            raise

    def _credentials(self, request: Request) -> Credentials:
        return self.tokens.credentials(request.access.repository)
