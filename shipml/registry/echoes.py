"""Whether a server's words hold what was sent to it: plain, or in an encoding that a request used or a server likes."""

from __future__ import annotations

import base64
import binascii
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["holds_secret", "sent_secrets"]

_SHORTEST = 4
"""Characters; anything shorter would be found everywhere."""
_SECRET_FIELDS = ("password", "refresh_token", "access_token")


def holds_secret(text: str, secrets: Iterable[str]) -> bool:
    """Whether `text` holds any of the secrets: plain, quoted as in URLs, in base64 of any alignment, in hexadecimal."""
    folded = text.casefold()
    return any(form in text or form.casefold() in folded for one in secrets if one for form in _forms(one))


def sent_secrets(headers: Mapping[str, str], body: object = None) -> tuple[str, ...]:
    """What must not be shown of a request: of Authorization, and of a form with a password or token."""
    _, _, value = headers.get("Authorization", "").partition(" ")
    found = [value] if value else []
    try:
        pair = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        pair = ""
    found += [pair.partition(":")[2]] if ":" in pair else []
    if isinstance(body, bytes):
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
        found += [value for name in _SECRET_FIELDS for value in form.get(name, ())]
    return tuple(found)


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode()
    forms = [secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), data.hex()]
    for shift in range(3):
        # Of base64 only what the secret alone decides: neighbours share the first and the last character.
        whole = base64.b64encode(b"\0" * shift + data).decode()
        inner = whole[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6]
        forms += [inner, inner.replace("+", "-").replace("/", "_")]
    yield from (form for form in forms if len(form) >= _SHORTEST or form == secret)
