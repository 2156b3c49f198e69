"""Asks a credential helper of docker's: a program `docker-credential-NAME` that prints a secret as JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field

__all__ = ["HelperAnswer", "ask_helper"]

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TIMEOUT_SECONDS = 30.0
_NONE = "credentials not found"
"""What every helper says that has none (docker-credential-helpers, credentials/error.go)."""


@dataclass(frozen=True, slots=True)
class HelperAnswer:
    """What a helper has for a server; nothing and no problem where it knows of none."""

    username: str = ""
    secret: str = field(default="", repr=False)
    problem: str = ""


def ask_helper(name: str, server: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> HelperAnswer:
    """`docker-credential-NAME get`; what goes wrong is in the answer, without anything that the helper printed."""
    program = shutil.which(f"docker-credential-{name}") if _NAME.fullmatch(name) else None
    if program is None:
        return HelperAnswer(problem="there is no such program on PATH")
    try:
        process = subprocess.Popen(
            [program, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        return HelperAnswer(problem=f"it cannot be started: {error.strerror}")
    with process:
        try:
            out, err = process.communicate(server.encode(), timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children hold our pipes, too
            return HelperAnswer(problem=f"it gave no answer within {timeout_seconds:g} s")
    return _read(process.returncode, out, err)


def _read(exit_code: int, out: bytes, err: bytes) -> HelperAnswer:
    if exit_code != 0:
        if _NONE in (out + err).decode(errors="replace").lower():
            return HelperAnswer()
        return HelperAnswer(problem=f"it failed with exit code {exit_code}")
    try:
        answer = json.loads(out)
        return HelperAnswer(str(answer["Username"]), str(answer["Secret"]))
    except (ValueError, KeyError, TypeError):  # their texts may quote the secret
        return HelperAnswer(problem="it printed no credentials")
