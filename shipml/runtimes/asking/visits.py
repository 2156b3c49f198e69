"""A first visit of an app whose work begins when a browser comes: which kind of app it is, its page says."""

from __future__ import annotations

import http.client
from collections.abc import Callable

from shipml.runtimes.asking import dash, gradio, streamlit
from shipml.runtimes.asking.client import Answer, Client
from shipml.store.evidence import Finding

__all__ = ["FIRST_VISIT", "first_visit"]

FIRST_VISIT = "a first visit of the app"
_STREAMLIT_HEALTH = ("_stcore/health", "healthz")
_STREAMLIT = "streamlit"


def first_visit(client: Client, first: Answer) -> Finding | None:
    """Visit the app as a browser does; None where it is none of those that are known. Other servers are left alone.

    Args:
        client: asks the server.
        first: its first good answer: a page, where it leads to, or the health of Streamlit's server.

    Raises:
        OSError: the connection broke, or its time is over.
        http.client.HTTPException: the answer is none that HTTP knows.
    """
    page, path = first, first.path.partition("?")[0]
    if health := next((name for name in _STREAMLIT_HEALTH if path.endswith(f"/{name}")), ""):
        page = client.get(path.removesuffix(health))
    elif 300 <= first.status < 400:  # noqa: PLR2004  (RFC 9110, section 15)
        page = client.get(first.path)
    folder = page.path.partition("?")[0].rpartition("/")[0] + "/"
    visit = _visit_of(client, page.text, folder) if page.is_good else None
    return visit() if visit else None


def _visit_of(client: Client, page: str, folder: str) -> Callable[[], Finding] | None:
    if (prefix := dash.prefix(page, folder)) is not None:
        return lambda: dash.visit(client, prefix)
    if gradio.is_gradio(page):
        return lambda: gradio.visit(client, folder)
    if _STREAMLIT in page.lower() and _is_streamlit(client, folder):
        return lambda: streamlit.visit(client, folder)
    return None


def _is_streamlit(client: Client, folder: str) -> bool:
    for path in _STREAMLIT_HEALTH:
        try:
            answer = client.request("GET", folder + path)
        except http.client.HTTPException:
            continue
        if answer.is_good and answer.text.strip() == "ok":
            return True
    return False
