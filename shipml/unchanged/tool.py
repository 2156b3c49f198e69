"""What answers beside files: this program, its Python and libraries, the environment, and the day."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from shipml.unchanged.looks import look_into

__all__ = ["PACKAGE", "library_folders", "surroundings"]

PACKAGE = str(Path(__file__).parents[1])
_IDLE = frozenset({"_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL"})
"""Variables that differ from one command line to the next, and decide nothing."""


def surroundings(environment: Mapping[str, str] = os.environ) -> str:
    """A digest that is another one where anything may be decided otherwise although no file is another.

    The day is part of it: whatever is asked again from time to time is asked once a day.
    """
    digest = hashlib.sha256()
    for name in sorted(environment.keys() - _IDLE):
        digest.update(f"{name}={environment[name]}\0".encode(errors="surrogateescape"))
    system = os.uname()
    digest.update(repr((sys.version, system.sysname, system.machine, system.nodename, os.geteuid(), _today())).encode())
    for folder, _, _ in os.walk(PACKAGE):
        if not folder.endswith("__pycache__"):
            digest.update(f"{folder} {look_into(folder).words}\0".encode())
    for folder in library_folders():
        digest.update(f"{folder} {_changed_ns(folder)}\0".encode())
    return digest.hexdigest()


def library_folders() -> tuple[str, ...]:
    """Where Python's own library is, and the packages that this program uses."""
    packages = {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    return (os.path.dirname(os.__file__), *sorted(packages))  # noqa: PTH120


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def _changed_ns(folder: str) -> int:
    """When something was installed there or removed."""
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116
    except OSError:
        return 0
