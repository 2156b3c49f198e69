"""Runs command lines one after the other in one process: `secrets_runner.py FILE`, which has them as JSON.

Each is `{"words": [...], "stdin": "...", "environment": {...}, "crash": "module:Class.method"}`; with `crash`, that
method raises what nobody expects. At the end the exit codes are written to FILE, as JSON.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from shipml.cli.app import run


def crash(where: str) -> None:
    """Let a method fail as only a mistake of ours would."""
    module, _, path = where.partition(":")
    owner, _, method = path.rpartition(".")

    def fail(*arguments: Any, **options: Any) -> None:
        raise KeyError(method)

    setattr(getattr(importlib.import_module(module), owner), method, fail)


def main(path: Path) -> None:
    """Run what the file says."""
    codes = []
    for command in json.loads(path.read_text()):
        os.environ.update(command.get("environment", {}))
        sys.stdin = io.TextIOWrapper(io.BytesIO(command.get("stdin", "").encode()))
        if where := command.get("crash"):
            crash(where)
        sys.stderr.write(f"\n$ {' '.join(command['words'])}\n")
        codes.append(run(command["words"]))
        for name in command.get("environment", {}):
            os.environ.pop(name)
    path.write_text(json.dumps(codes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
