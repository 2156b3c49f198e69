"""What is particular about Docker Hub: names with an owner, tokens in place of passwords, limits on pulls."""

from __future__ import annotations

from shipml.errors import (
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UsageError,
)
from shipml.oci.reference import Reference
from shipml.registry.credentials import Credentials

__all__ = ["TOKENS_PAGE", "check_username", "explain"]

TOKENS_PAGE = "https://app.docker.com/settings/personal-access-tokens"
"""Where a user makes access tokens."""


def check_username(username: str) -> None:
    """Docker Hub knows users by their Docker ID; an e-mail address may log in, but no push works with it.

    Raises:
        UsageError: it is an e-mail address.
    """
    if "@" in username:
        raise UsageError(
            f"{username} is an e-mail address; Docker Hub wants the Docker ID, which images are named by",
            hint="use the name in hub.docker.com/u/NAME: shipml login hub --username NAME",
        )


def explain(error: ShipmlError, reference: Reference, credentials: Credentials) -> str:
    """What to do after a refusal by Docker Hub; "" where nothing more is known.

    Args:
        error: the refusal; what Hub said is its `said`.
        reference: what was asked for; its repository is "" for a login.
        credentials: those that were used.
    """
    said = error.said.lower()
    if "personal access token" in said:
        return (
            f"make a token with Read & Write at {TOKENS_PAGE}, then: shipml login hub --username {_name(credentials)}"
        )
    if isinstance(error, TryAgainError) and "rate limit" in said:
        known = "wait for the window to pass, or use an account with a higher limit"
        return known if credentials else "log in for a higher limit: shipml login hub"
    return _explain_refusal(reference, credentials) if isinstance(error, NotAllowedError) else ""


def _explain_refusal(reference: Reference, credentials: Credentials) -> str:
    if not credentials:
        return "log in first: shipml login hub --username DOCKER_ID"
    if not reference.repository:
        return f"Docker Hub wants the Docker ID, and an access token where two factors are on: {TOKENS_PAGE}"
    namespace, _, name = reference.repository.partition("/")
    if credentials.username and namespace != credentials.username:
        return (
            f"push as {credentials.username}/{name}, or let an owner of {namespace} give {credentials.username}"
            " write access to the repository"
        )
    return f"the token must allow Read & Write: make another at {TOKENS_PAGE}, then: shipml login hub"


def _name(credentials: Credentials) -> str:
    return credentials.username or "DOCKER_ID"
