"""WWW-Authenticate, read: what a registry demands before it answers (RFC 9110, section 11.6.1; RFC 6750). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Challenge", "parse_challenges"]

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  (a grammar)
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))(?=[\s,]|$)')
_SCHEME = re.compile(rf"({_TOKEN})(?=\s|,|$)")
_LIMIT = 16 << 10
"""Characters of a header that are looked at."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme with its parameters."""

    scheme: str
    """In lower case: `bearer`, `basic`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case: `realm`, `service`, `scope`, `error`."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a token must allow, in the registry's order: `repository:NAME:pull,push`."""
        return tuple(self.parameters.get("scope", "").split())


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of all `headers`, in their order; what cannot be read is left out."""
    found: list[Challenge] = []
    for header in headers:
        found.extend(_parse(header[:_LIMIT]))
    return tuple(found)


def _parse(header: str) -> list[Challenge]:
    """Commas separate challenges as well as parameters: a word that no `=` follows begins a challenge."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while position < len(header):
        if header[position] in " \t,":
            position += 1
        elif found and (match := _PARAMETER.match(header, position)):
            name, quoted, plain = match.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
            position = match.end()
        elif match := _SCHEME.match(header, position):
            found.append((match[1].lower(), {}))
            position = match.end()
        else:
            end = header.find(",", position)
            position = len(header) if end < 0 else end
    return [Challenge(scheme, parameters) for scheme, parameters in found]
