"""The command line. Parsing, printing and nothing else: what is done is in `shipml.api`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The console script `shipml`."""
    from shipml.cli.app import run

    sys.exit(run(sys.argv[1:]))
