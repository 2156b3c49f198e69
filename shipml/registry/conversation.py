"""Asking one registry: authorised, patiently, and following it to where its blobs are."""

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
    Answer,
    InterruptedRequestError,
    Transport,
    read_answer,
)

if TYPE_CHECKING:
    import urllib3

__all__ = ["Body", "Conversation", "Question"]

_REDIRECTS = (301, 302, 303, 307, 308)
_REDIRECT_LIMIT = 5
_AUTHORIZATION_ROUNDS = 3
"""Nothing or a token that has expired; a fresh one; one by renewed credentials."""

Body = bytes | Callable[[], Iterator[bytes]] | None
"""Of a request; a function begins it anew for every attempt."""


@dataclass(frozen=True, slots=True)
class Question:
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


class Conversation:
    """Requests to one registry; safe to share between threads."""

    def __init__(self, address: Address, transport: Transport, tokens: Tokens) -> None:
        self.address = address
        self.transport = transport
        self.tokens = tokens

    def ask(self, question: Question, *fine: int, limit_bytes: int = DOCUMENT_LIMIT_BYTES) -> Answer:
        """The answer, with one of the `fine` statuses.

        Raises:
            NotAllowedError: credentials are missing or refused.
            TryAgainError: no answer, after several attempts.
            UntrustedInputError: the answer is too large, or leads where it must not.
            ShipmlError: another status, explained.
        """
        return self.transport.patiently(lambda: self.ask_once(question, fine, limit_bytes))

    def ask_once(self, question: Question, fine: Collection[int], limit_bytes: int = DOCUMENT_LIMIT_BYTES) -> Answer:
        """As `ask`, but an interruption is raised at once."""
        response, url = self.open(question)
        answer = read_answer(response, url, limit_bytes)
        if answer.status not in fine:
            raise self._explained(answer, question)
        return answer

    def open(self, question: Question) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The answer of any status but 401, its body unread, and the URL that gave it: asked once."""
        url = question.url
        for _ in range(_REDIRECT_LIMIT):
            response = self._authorised(question, url)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location or question.method not in ("GET", "HEAD"):
                return response, url
            read_answer(response, url)
            url = self.address.follow(location, url, "where its content is")
        raise UntrustedInputError(f"{redacted(question.url)} redirects more than {_REDIRECT_LIMIT} times")

    def _authorised(self, question: Question, url: str) -> urllib3.BaseHTTPResponse:
        if not self.address.is_own(url):
            return self._send(question, url, "")
        for number in range(_AUTHORIZATION_ROUNDS):
            header = self._header(question)
            response = self._send(question, url, header)
            if response.status != HTTPStatus.UNAUTHORIZED:
                return response
            answer = read_answer(response, url)
            challenges = parse_challenges(response.headers.getlist("WWW-Authenticate"))
            last = number == _AUTHORIZATION_ROUNDS - 1
            fresh = number > 0
            if last or not self.tokens.refused(question.access, header, challenges, fresh=fresh):
                break
        raise self._explained(answer, question)

    def _header(self, question: Question) -> str:
        try:
            return self.tokens.header(question.access)
        except TokenRefusedError as error:
            answer = Answer(HTTPStatus.UNAUTHORIZED, {}, b"", question.url)
            wrong = self._explained(answer, question)
            raise wrong.worded(message=f"{wrong.message}; {error.message}", said=error.said) from error

    def _send(self, question: Question, url: str, authorization: str) -> urllib3.BaseHTTPResponse:
        headers = {**question.headers, "Authorization": authorization} if authorization else question.headers
        body = question.body() if callable(question.body) else question.body
        try:
            return self.transport.send(question.method, url, headers, body, patience=question.patience)
        except InterruptedRequestError as error:
            if error.status == HTTPStatus.TOO_MANY_REQUESTS:
                used = self._credentials(question)
                words = f"{error.message}; credentials used for {self.address.registry}: {used}"
                raise error.worded(message=words) from error
            raise

    def _explained(self, answer: Answer, question: Question) -> ShipmlError:
        reading = question.access.is_reading
        return explained(answer, self.address.registry, question.what, self._credentials(question), reading=reading)

    def _credentials(self, question: Question) -> Credentials:
        return self.tokens.credentials(question.access.repository)
