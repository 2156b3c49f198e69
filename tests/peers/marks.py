"""Secrets that can be recognised: everything that a stand-in issues carries a mark, so that a test finds any leak."""

from __future__ import annotations

import base64
import itertools
import re
import secrets

__all__ = ["MARK", "find_marks", "marked"]

MARK = "SECRETMARK"
"""What each secret contains; JSON Web Tokens have it as the first of their claims."""

_COUNT = itertools.count(1)


def marked(name: str) -> str:
    """A new secret; `name` says in a failing test which one leaked."""
    return f"{MARK}-{name}-{next(_COUNT)}-{secrets.token_hex(8)}"


def _in_base64() -> set[bytes]:
    """The mark as base64 shows it, wherever in the text it starts; only characters that nothing else touches."""
    shown = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + MARK.encode())
        shown.add(encoded[(before * 8 + 5) // 6 : (before + len(MARK)) * 8 // 6])
    return shown


_PATTERN = re.compile(rb"|".join(map(re.escape, [MARK.encode(), *sorted(_in_base64())])))
_SHOWN_BYTES = 60


def find_marks(output: bytes | str) -> list[str]:
    """Where a secret shows, plainly or in base64 (as in a JSON Web Token): some bytes of each place; [] for no leak."""
    data = output.encode() if isinstance(output, str) else output
    found = (data[match.start() : match.start() + _SHOWN_BYTES] for match in _PATTERN.finditer(data))
    return [place.decode(errors="replace") for place in found]
