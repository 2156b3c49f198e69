"""Answers of registries, read to their end, and the errors that they carry (distribution-spec 1.1, "Error Codes")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "error_codes", "said"]

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
