"""What a registry's refusals mean and what to do about them: 401, 403, 404, 429 and its own error codes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

__all__ = ["AccessRefusedError", "Answer", "NotFoundError", "RefusedError", "error_codes", "explained", "said"]


class RefusedError(BuildError):
    """A registry answered that it does not do what was asked."""

    def __init__(self, message: str, *, hint: str = "", said: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint, said=said)
        self.status = status


class AccessRefusedError(NotAllowedError):
    """A registry does not let us do something.

    Attributes:
        reading: whether to read would have been enough.
    """

    def __init__(self, message: str, *, hint: str = "", said: str = "", reading: bool = False) -> None:
        super().__init__(message, hint=hint, said=said)
        self.reading = reading


class NotFoundError(UsageError):
    """The registry has no such thing."""


def explained(
    answer: Answer, registry: str, what: str, credentials: Credentials, *, reading: bool = False
) -> ShipmlError:
    """The error for an answer that is none of those that were hoped for.

    Args:
        answer: the registry's.
        registry: as references name it.
        what: what was asked, as a sentence's end: `push to REPOSITORY`.
        credentials: those that were used.
        reading: whether only to read was asked for.
    """
    words = said(answer)
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or "DENIED" in error_codes(answer):
        return AccessRefusedError(
            f"{registry} does not let you {what}{words}; credentials used for {registry}: {credentials}",
            hint=_login_hint(registry, credentials),
            said=words,
            reading=reading,
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
    return RefusedError(
        f"cannot {what}: {registry} answered {answer.status}{words}", hint=hint, said=words, status=answer.status
    )


def _login_hint(registry: str, credentials: Credentials) -> str:
    login = login_command(registry)
    if credentials.source.startswith("SHIPML_"):
        return f"correct SHIPML_USERNAME and SHIPML_PASSWORD, or unset them and log in: {login}"
    if not credentials:
        return f"log in: {login}"
    if registry == DOCKER_HUB:
        return f"log in with an account, or an access token, that may do it: {login}"
    return f"log in with an account that may do it: {login}"


_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    url: str
    """Which gave it."""


def error_codes(answer: Answer) -> tuple[str, ...]:
    """The codes of the answer's errors, as `DENIED`."""
    return tuple(str(error.get("code", "")) for error in _errors(answer))


def said(answer: Answer) -> str:
    """` (CODE: what the registry says)`, or "" where it says nothing readable."""
    words = []
    for error in _errors(answer):
        code, message = str(error.get("code", "")), str(error.get("message", ""))
        words.append(f"{code}: {message}" if code and message else code or message)
    text = "".join(c if c.isprintable() else " " for c in "; ".join(filter(None, words)))
    return f" ({text[:_SHOWN_CHARACTERS]})" if text else ""


def _errors(answer: Answer) -> Sequence[dict[str, Any]]:
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
