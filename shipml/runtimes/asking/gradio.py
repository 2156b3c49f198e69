"""A first visit of a Gradio app, as far as HTTP shows it: its page, its interface, and what it does on loading."""

from __future__ import annotations

import json
from typing import Any

from shipml.runtimes.asking.client import Answer, Client
from shipml.store.evidence import Finding

__all__ = ["WHAT", "is_gradio", "visit"]

WHAT = "a first visit of the Gradio app"
_JSON = {"Content-Type": "application/json"}
_SESSION = "shipml"
_EVENTS_BYTES = 16 << 20


def is_gradio(page: str) -> bool:
    """Whether a page is one of Gradio's."""
    return "window.gradio_config" in page or "gradio-app" in page


def visit(client: Client, folder: str) -> Finding:
    """Ask for its configuration and its interface, and do what a browser does when the page has loaded.

    Raises:
        OSError: the connection broke, or its time is over.
        http.client.HTTPException: the answer is none that HTTP knows.
    """
    answer = client.get(f"{folder}config")
    if failing := _failing(answer, "the Gradio app's configuration"):
        return failing
    config = answer.json()
    if not isinstance(config, dict):
        return Finding(WHAT, None, "the Gradio app was not visited: its configuration cannot be read")
    api = folder.rstrip("/") + str(config.get("api_prefix") or "")
    if failing := _failing(client.get(f"{api}/info"), "the Gradio app's interface"):
        return failing
    loaded = 0
    for number, values in _on_load(config):
        said = _called(client, api, number, values)
        if said is not None:
            return Finding(
                WHAT, False, f"what the Gradio app does when its page loads fails{': ' if said else ''}{said}"
            )
        loaded += 1
    done = (
        "what the Gradio app does when its page loads works"
        if loaded
        else "the Gradio app's page and interface answered"
    )
    return Finding(WHAT, True, f"{done} (functions that a user starts were not called)")


def _failing(answer: Answer, shown: str) -> Finding | None:
    if answer.status in {401, 403}:
        return Finding(WHAT, None, f"{shown} was not asked for: it wants a login")
    if answer.status >= 500:  # noqa: PLR2004  (RFC 9110, section 15)
        return Finding(WHAT, False, f"{shown} cannot be made: {answer.path} answered {answer.status}")
    return None


def _on_load(config: dict[str, Any]) -> list[tuple[int, list[Any]]]:
    """(number, values of its inputs) of the functions that a browser calls when the page has loaded."""
    if not str(config.get("protocol", "")).startswith("sse_v"):
        return []
    start = {one.get("id"): (one.get("props") or {}).get("value") for one in _tables(config.get("components"))}
    found = []
    for at, one in enumerate(_tables(config.get("dependencies"))):
        targets = [target for target in one.get("targets") or () if isinstance(target, list) and len(target) > 1]
        if one.get("backend_fn") and any(target[1] == "load" for target in targets):
            found.append((int(one.get("id", at)), [start.get(name) for name in one.get("inputs") or ()]))
    return found


def _tables(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - whatever it answers
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _called(client: Client, api: str, number: int, values: list[Any]) -> str | None:
    """Call a function through the queue: None where it works or its answer cannot be read, else what it says."""
    call = {"data": values, "event_data": None, "fn_index": number, "trigger_id": None, "session_hash": _SESSION}
    joined = client.request("POST", f"{api}/queue/join", json.dumps(call).encode(), _JSON)
    if not joined.is_good:
        return None
    for event in client.events(f"{api}/queue/data?session_hash={_SESSION}", _EVENTS_BYTES):
        if event.get("msg") == "process_completed":
            output = event.get("output")
            said = output.get("error") if isinstance(output, dict) else ""
            return None if event.get("success") else str(said or "")
        if event.get("msg") == "close_stream":
            break
    return None
