"""What is written in a token of Azure: whose it is and until when it serves. Pure; nothing is verified.

Who verifies is the registry; we read it only to say which of several reasons a refusal has.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

__all__ = ["NULL_GUID", "expires_at_seconds", "owner_of", "tenant_of"]

NULL_GUID = "00000000-0000-0000-0000-000000000000"
"""The user name that stands beside a refresh token, in docker's configuration as in requests (Azure/acr, AAD-OAuth)."""


def expires_at_seconds(token: str) -> float:
    """When it ends (POSIX time); 0.0 where that cannot be read."""
    found = _claims(token).get("exp")
    return float(found) if isinstance(found, int | float) else 0.0


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
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
