"""Whether this machine can run a peer. A missing one skips the test, but fails it on CI as root."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NoReturn

import pytest

__all__ = ["missing", "need"]


def need(*programs: str, root: bool = False) -> None:
    """Skip the test (fail on CI) unless all `programs` are on PATH and, where `root` is asked, we are root."""
    if sys.platform != "linux":
        missing("real engines run on Linux only")
    if root and os.geteuid() != 0:
        missing("starting an engine needs root")
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        missing(f"not installed: {', '.join(absent)}; tests/peers/install.sh installs them")


def missing(reason: str) -> NoReturn:
    """Say why a peer is not there."""
    if os.environ.get("CI") == "true" and sys.platform == "linux" and os.geteuid() == 0:
        pytest.fail(f"on CI every peer must be there, but {reason}", pytrace=False)
    pytest.skip(reason)
