"""Sends a request of the user's, and judges the answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from shipml.facts.smoke_request import SmokeRequest, filled, variables_of
from shipml.runtimes.asking.client import Answer, Client
from shipml.store.evidence import Finding

__all__ = ["difference", "predict"]

_SHOWN_CHARACTERS = 300
_CLOSENESS = 1e-6
"""Numbers that differ less, relatively, are the same prediction on another CPU."""


def predict(
    client: Client, request: SmokeRequest, variables: Mapping[str, str], is_found: Callable[[str, str], bool]
) -> Finding:
    """Send it, and say whether the answer is the one that is expected.

    Args:
        client: asks the server.
        request: what is asked.
        variables: what `${NAME}` in headers stands for.
        is_found: whether a regular expression is found in a text.

    Raises:
        OSError: the connection broke, or its time is over.
        http.client.HTTPException: the answer is none that HTTP knows.
    """
    if lacking := [name for name in variables_of(request) if name not in variables]:
        return Finding(
            request.what, False, f"{request.what} has a header with {lacking[0]}, which nothing sets: -e {lacking[0]}=…"
        )
    headers = {name: filled(text, variables) for name, text in request.headers}
    if request.content_type and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = request.content_type
    answer = client.request(request.verb, request.path, request.content or None, headers)
    wrong = _wrong(request, answer, is_found)
    return Finding(request.what, not wrong, f"{request.what} {wrong or _praise(request, answer)}")


def _wrong(request: SmokeRequest, answer: Answer, is_found: Callable[[str, str], bool]) -> str:
    """What is not as expected; "" for nothing."""
    if answer.status != request.status if request.status else not answer.is_good:
        wanted = f", not {request.status}" if request.status else ""
        return f"answered {answer.status}{wanted}{_shown(answer)}"
    if request.expect_json:
        document = answer.json()
        if document is None and answer.text.strip() != "null":
            return f"answered what is not JSON{_shown(answer)}"
        if found := difference(json.loads(request.expect_json), document):
            return f"answered otherwise than expected, {found}{_shown(answer)}"
    if request.expect and not is_found(request.expect, answer.text):
        return f"answered without {request.expect!r}{_shown(answer)}"
    return ""


def _praise(request: SmokeRequest, answer: Answer) -> str:
    expected = " as expected" if request.expect or request.expect_json else ""
    return f"answered {answer.status}{expected}"


def _shown(answer: Answer) -> str:
    text = " ".join(answer.text[: 4 * _SHOWN_CHARACTERS].split())
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "…"
    return f": {text}" if text else ""


def difference(wanted: Any, found: Any, path: str = "$") -> str:  # noqa: ANN401 - JSON
    """Where `found` lacks what is wanted: a clause; "" where it has it all. Tables may have more keys, lists not."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, value in wanted.items():
            if name not in found:
                return f"{path}.{name} is missing"
            if clause := difference(value, found[name], f"{path}.{name}"):
                return clause
        return ""
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return f"{path} has {len(found)} items, not {len(wanted)}"
        clauses = (
            difference(one, other, f"{path}[{at}]") for at, (one, other) in enumerate(zip(wanted, found, strict=True))
        )
        return next(filter(None, clauses), "")
    return "" if _is_same(wanted, found) else f"{path} is {_json(found)}, not {_json(wanted)}"


def _is_same(wanted: object, found: object) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, (int, float)) and isinstance(found, (int, float)):
        return wanted == found or math.isclose(wanted, found, rel_tol=_CLOSENESS)
    return wanted == found


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"  # noqa: PLR2004
