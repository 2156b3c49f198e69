"""Logs of builds, kept below the store's home; the oldest are removed."""

from __future__ import annotations

import re
import time
from pathlib import Path

from shipml.store.home import private_folder

__all__ = ["log_file"]


_KEPT_LOGS = 20


def log_file(home: Path, name: str) -> Path:
    """A path for a new log below `home`/logs; the oldest logs there are removed."""
    folder = home / "logs"
    private_folder(folder)
    logs = sorted(folder.glob("build-*.log"))
    for old in logs[: max(0, len(logs) - _KEPT_LOGS + 1)]:
        old.unlink(missing_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return folder / f"build-{stamp}-{time.time_ns() % 1_000_000:06d}-{re.sub(r'[^a-z0-9.-]+', '-', name.lower())}.log"
