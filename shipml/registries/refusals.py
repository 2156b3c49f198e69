"""What a registry's refusals mean and what to do about them: 401, 403, 404, 429 and its own error codes."""

from __future__ import annotations

from http import HTTPStatus

from shipml.errors import BuildError, NotAllowedError, ShipmlError, TryAgainError, UsageError
from shipml.oci.reference import DOCKER_HUB
from shipml.registries.answers import Answer, error_codes, said
from shipml.registries.credentials import Credentials, login_command

__all__ = ["NotFoundError", "RefusedError", "explained"]


class RefusedError(BuildError):
    """A registry answered that it does not do what was asked."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class NotFoundError(UsageError):
    """The registry has no such thing."""


def explained(answer: Answer, registry: str, what: str, credentials: Credentials) -> ShipmlError:
    """The error for an answer that is none of those that were hoped for.

    Args:
        answer: the registry's.
        registry: as references name it.
        what: what was asked, as a sentence's end: `push to REPOSITORY`.
        credentials: those that were used.
    """
    words = said(answer)
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or "DENIED" in error_codes(answer):
        return NotAllowedError(
            f"{registry} does not let you {what}{words}; credentials used for {registry}: {credentials}",
            hint=_login_hint(registry, credentials),
        )
    if answer.status == HTTPStatus.NOT_FOUND:
        return NotFoundError(f"cannot {what}: {registry} answered 404{words}", hint="check the name and the tag")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TryAgainError(
            f"cannot {what}: {registry} answered {answer.status}{words}", hint="run the same command again later"
        )
    hint = "see what the registry allows; if the answer makes no sense, a proxy may have given it: unset HTTPS_PROXY"
    if "MANIFEST_BLOB_UNKNOWN" in error_codes(answer):
        hint = "push again: what the registry said it had, it has lost"
    return RefusedError(f"cannot {what}: {registry} answered {answer.status}{words}", hint=hint, status=answer.status)


def _login_hint(registry: str, credentials: Credentials) -> str:
    login = login_command(registry)
    if credentials.source.startswith("SHIPML_"):
        return f"correct SHIPML_USERNAME and SHIPML_PASSWORD, or unset them and log in: {login}"
    if not credentials:
        return f"log in: {login}"
    if registry == DOCKER_HUB:
        return f"log in with an account, or an access token, that may do it: {login}"
    return f"log in with an account that may do it: {login}"
