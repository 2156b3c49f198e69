"""What a registry's refusals mean and what to do about them: 401, 403, 404, 429 and its own error codes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from shipml.errors import (
    BuildError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UsageError,
)
from shipml.oci.reference import DOCKER_HUB
from shipml.registry.credentials import Credentials, login_command
from shipml.registry.echoes import holds_secret

__all__ = ["NotFoundError", "RefusedCredentialsError", "RefusedError", "Response", "error_codes", "explained", "said"]


class RefusedError(BuildError):
    """A registry answered that it does not do what was asked."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0, said: str = "") -> None:
        super().__init__(message, hint=hint, said=said)
        self.status = status


class NotFoundError(UsageError):
    """The registry has no such thing."""


class RefusedCredentialsError(NotAllowedError):
    """A registry does not let these credentials do something."""

    def __init__(self, message: str, *, hint: str = "", reads: bool = False, said: str = "") -> None:
        super().__init__(message, hint=hint, said=said)
        self.reads = reads
        """Whether reading was refused, not writing."""


def explained(
    answer: Response,
    registry: str,
    what: str,
    credentials: Credentials,
    *,
    reads: bool = False,
    wrong_login: bool = False,
    because: str = "",
) -> ShipmlError:
    """The error for an answer that is none of those that were hoped for.

    Args:
        answer: the registry's.
        registry: as references name it.
        what: what was asked, as a sentence's end: `push to REPOSITORY`.
        credentials: those that were used.
        reads: whether it takes the right to read alone.
        wrong_login: whether the credentials themselves were refused, not what they may do.
        because: more that is known.
    """
    words = said(answer, credentials.secrets)
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or "DENIED" in error_codes(answer):
        because = f"; {because}" if because else ""
        return RefusedCredentialsError(
            _refusal(answer, registry, what, credentials, words, wrong_login=wrong_login) + because,
            hint=_login_hint(registry, credentials),
            reads=reads,
            said=words,
        )
    if answer.status == HTTPStatus.NOT_FOUND:
        return NotFoundError(
            f"cannot {what}: {registry} answered 404{words}", hint="check the name and the tag", said=words
        )
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TryAgainError(
            f"cannot {what}: {registry} answered {answer.status}{words}",
            hint="run the same command again later",
            said=words,
        )
    hint = "see what the registry allows; if the answer makes no sense, a proxy may have given it: unset HTTPS_PROXY"
    if "MANIFEST_BLOB_UNKNOWN" in error_codes(answer):
        hint = "push again: what the registry said it had, it has lost"
    message = f"cannot {what}: {registry} answered {answer.status}{words}"
    return RefusedError(message, hint=hint, status=answer.status, said=words)


def _refusal(
    answer: Response, registry: str, what: str, credentials: Credentials, words: str, *, wrong_login: bool
) -> str:
    if not credentials and answer.status == HTTPStatus.UNAUTHORIZED:
        problem = f" ({credentials.problem})" if credentials.problem else ""
        return f"cannot {what}: {registry} requires a login, and no credentials were found{problem}{words}"
    if wrong_login and credentials.username and not credentials.identity_token:
        user, source = credentials.username, credentials.source
        return f"wrong user name or password for {registry} (user {user}, from {source}){words}"
    return f"{registry} does not allow you to {what}{words}; credentials used for {registry}: {credentials}"


def _login_hint(registry: str, credentials: Credentials) -> str:
    login = login_command(registry)
    if credentials.source.startswith("SHIPML_"):
        return f"correct SHIPML_USERNAME and SHIPML_PASSWORD, or unset them and log in: {login}"
    if not credentials:
        return f"log in: {login}"
    if registry == DOCKER_HUB:
        return f"log in with an account or access token that has this right: {login}"
    return f"log in with an account that has this right: {login}"


_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    url: str
    """Which gave it."""


def error_codes(answer: Response) -> tuple[str, ...]:
    """The codes of the answer's errors, such as `DENIED`."""
    return tuple(str(error.get("code", "")) for error in _errors(answer))


def said(answer: Response, secrets: Iterable[str] = ()) -> str:
    """` (CODE: what the registry says)`; "" where it says nothing readable, or repeats one of `secrets`."""
    words = []
    for error in _errors(answer):
        code, message = str(error.get("code", "")), str(error.get("message", ""))
        words.append(f"{code}: {message}" if code and message else code or message)
    text = "".join(c if c.isprintable() else " " for c in "; ".join(filter(None, words)))
    if not text or holds_secret(text, secrets):
        return ""
    return f" ({text[:_SHOWN_CHARACTERS]})"


def _errors(answer: Response) -> Sequence[dict[str, Any]]:
    try:
        document = json.loads(answer.data)
        errors = document.get("errors")
    except (ValueError, AttributeError, RecursionError):
        return ()
    if isinstance(errors, list):
        return [error for error in errors if isinstance(error, dict)]
    # Token services: Docker Hub's, and RFC 6749's (5.2).
    words = document.get("details") or document.get("error_description")
    return [{"message": words}] if isinstance(words, str) else ()
