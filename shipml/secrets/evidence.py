"""What a build found goes with the image's digest, so that a push much later knows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from shipml.errors import SecretError
from shipml.events import Emit, Notice, ignore
from shipml.facts.secrets import FoundSecret
from shipml.oci.digest import Digest
from shipml.store import Store
from shipml.text import listed

__all__ = ["keep_secrets", "require_no_secrets"]

_FACT = "secrets-1"


def keep_secrets(store: Store, digest: Digest, secrets: Sequence[FoundSecret], emit: Emit = ignore) -> None:
    """Remember which secrets the image `digest` holds, and say so to `emit`."""
    for secret in secrets:
        emit(Notice(f"{secret.source} holds a secret ({secret.kind}): push refuses the image", "warning"))
    if secrets or store.has_fact(_FACT, str(digest)):
        store.keep_fact(_FACT, str(digest), [one.to_json() for one in secrets], durable=True)


def require_no_secrets(
    store: Store, digest: Digest, name: str, *, verb: Literal["pushed", "promoted"] = "pushed"
) -> None:
    """Nothing, for an image in which no build of this machine found a secret.

    Raises:
        SecretError: it holds one, or what was found is not readable any more.
    """
    if not store.has_fact(_FACT, str(digest)):
        return
    known = store.fact(_FACT, str(digest))
    found = [FoundSecret.from_json(one) for one in known] if isinstance(known, list) else [None]
    if None in found:
        raise SecretError(
            f"{name or digest.short} is not {verb}: a build found secrets in it, and the record of them is damaged",
            hint="build the image again: shipml build",
        )
    secrets = [one for one in found if one is not None]
    if not secrets:
        return
    places = listed([f"{one.source} ({one.kind})" for one in secrets])
    raise SecretError(
        f"{name or digest.short} is not {verb}: it holds what looks like a secret: {places}",
        hint="remove it, replace it at its service, and build again; if it is not a secret, write at the top of "
        f'shipml.toml: secrets.allow = ["{secrets[0].source}"], and build again',
    )
