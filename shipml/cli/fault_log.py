"""The log of an internal error: what a report needs, without what would have to stay secret."""

from __future__ import annotations

import base64
import os
import re
import time
from pathlib import Path

from shipml.cli.text import printable

__all__ = ["keep_log", "without_secrets"]

_SECRET_NAMES = re.compile(r"PASS|TOKEN|SECRET|CREDENTIAL|AUTH|API_?KEY|PRIVATE", re.IGNORECASE)
_SHORTEST_SECRET = 6
"""Shorter values are words that stand anywhere."""
_HEADERS = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{6,}")


def without_secrets(text: str) -> str:
    """The text without credentials in URLs and headers, and without the values of variables that hold secrets."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET:
            for form in (value, base64.b64encode(os.fsencode(value)).decode().rstrip("=")):
                text = text.replace(form, "***")
    return printable(_HEADERS.sub(r"\1 ***", text))


def keep_log(home: Path, text: str) -> str:
    """Write a traceback to a new file, which its owner alone can read; returns the hint that says where."""
    path = home / "logs" / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError:
        return "see the traceback with -v, and report it with the output of: shipml --version"
    return f"report it with the file {path}, which holds the traceback, and with the output of: shipml --version"
