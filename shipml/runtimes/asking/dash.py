"""A first visit of a Dash app, as far as HTTP shows it: what the page asks for before it shows anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from shipml.runtimes.asking.client import Answer, Client
from shipml.store.evidence import Finding

__all__ = ["WHAT", "prefix", "visit"]

WHAT = "a first visit of the Dash app"
_CONFIG = re.compile(r'<script id="_dash-config" type="application/json">(.{0,20000}?)</script>', re.DOTALL)
_PAGES = "_pages_content.children"
_JSON = {"Content-Type": "application/json"}


def prefix(page: str, folder: str) -> str | None:
    """The path that all of the app's own paths begin with; None where the page is no Dash app's."""
    if not (found := _CONFIG.search(page)):
        return None
    try:
        return str(json.loads(found[1]).get("requests_pathname_prefix") or folder)
    except (ValueError, AttributeError):
        return folder


def visit(client: Client, folder: str) -> Finding:
    """Ask for the layout, for the callbacks, and where it has pages, for the first of them.

    Raises:
        OSError: the connection broke, or its time is over.
        http.client.HTTPException: the answer is none that HTTP knows.
    """
    callbacks: Any = None
    for path, shown in (
        ("_dash-layout", "the Dash app's layout"),
        ("_dash-dependencies", "the Dash app's list of callbacks"),
    ):
        answer = client.get(folder + path)
        if failing := _failing(answer, shown):
            return failing
        callbacks = answer.json()
    for asked in _pages(callbacks, folder):
        answer = client.request("POST", f"{folder}_dash-update-component", json.dumps(asked).encode(), _JSON)
        if failing := _failing(answer, "the Dash app's first page"):
            return failing
    return Finding(
        WHAT, True, "the Dash app's layout was made on a first visit (callbacks that a user starts were not called)"
    )


def _failing(answer: Answer, shown: str) -> Finding | None:
    if answer.status in {401, 403}:
        return Finding(WHAT, None, f"{shown} was not asked for: it wants a login")
    if answer.status >= 500:  # noqa: PLR2004  (RFC 9110, section 15)
        return Finding(WHAT, False, f"{shown} cannot be made: {answer.path} answered {answer.status}")
    return None


def _pages(callbacks: Any, folder: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - whatever it answers
    """What a browser sends for the page at the top of an app with pages: only that callback, Dash's own."""
    for one in callbacks if isinstance(callbacks, list) else ():
        output = str(one.get("output", "")) if isinstance(one, dict) else ""
        if _PAGES not in output:
            continue
        names = [name.split(".") for name in output.strip(".").split("...")]
        values = {"pathname": folder, "search": ""}
        inputs = [{**given, "value": values.get(given.get("property"), "")} for given in one.get("inputs", ())]
        yield {
            "output": output,
            "outputs": [{"id": name[0], "property": name[-1]} for name in names],
            "inputs": inputs,
            "state": [{**given, "value": None} for given in one.get("state", ())],
            "changedPropIds": [f"{given.get('id')}.{given.get('property')}" for given in one.get("inputs", ())],
        }
