"""Talks to a credential helper of docker's: a program `docker-credential-NAME` that keeps secrets.

Secrets go through its stdin and stdout, never through its arguments, which every process may read
(github.com/docker/docker-credential-helpers, "Development").
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from shipml.events import Emit, Notice, ignore

__all__ = ["TOKEN_USER", "HelperAnswer", "ask_helper", "erase_with_helper", "has_helper", "store_with_helper"]

TOKEN_USER = "<token>"  # noqa: S105  (the name by which helpers say that the secret is an identity token)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TIMEOUT_SECONDS = 30.0
_SILENT_SECONDS = 3.0
"""How long a helper is waited for without a word."""
_NONE = "credentials not found"
"""What every helper says that has none (docker-credential-helpers, credentials/error.go)."""


@dataclass(frozen=True, slots=True)
class HelperAnswer:
    """What a helper has for a server; nothing and no problem where it knows of none."""

    username: str = ""
    secret: str = field(default="", repr=False)
    problem: str = ""


def has_helper(name: str) -> bool:
    """Whether there is such a program."""
    return _program(name) is not None


def ask_helper(
    name: str, server: str, *, timeout_seconds: float = _TIMEOUT_SECONDS, emit: Emit = ignore
) -> HelperAnswer:
    """`docker-credential-NAME get`; what goes wrong is in the answer, without anything that the helper printed.

    `emit` hears of a helper that is waited for: it may want a person to unlock something, in a window not seen here.
    """
    answer = _run(name, "get", server.encode(), timeout_seconds, emit)
    return answer if isinstance(answer, HelperAnswer) else _read(answer)


def store_with_helper(
    name: str, server: str, username: str, secret: str, *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> str:
    """`docker-credential-NAME store`; returns what went wrong, or "". An identity token's user is TOKEN_USER."""
    document = json.dumps({"ServerURL": server, "Username": username, "Secret": secret})
    answer = _run(name, "store", document.encode(), timeout_seconds)
    return answer.problem if isinstance(answer, HelperAnswer) else ""


def erase_with_helper(name: str, server: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> str:
    """`docker-credential-NAME erase`; returns what went wrong, or "": having none is well."""
    answer = _run(name, "erase", server.encode(), timeout_seconds)
    return answer.problem if isinstance(answer, HelperAnswer) else ""


def _program(name: str) -> str | None:
    return shutil.which(f"docker-credential-{name}") if _NAME.fullmatch(name) else None


def _run(name: str, verb: str, words: bytes, timeout_seconds: float, emit: Emit = ignore) -> bytes | HelperAnswer:
    """What the helper prints; an answer where it has none, or fails."""
    program = _program(name)
    if program is None:
        return HelperAnswer(problem="there is no such program on PATH")
    try:
        process = subprocess.Popen(
            [program, verb],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        return HelperAnswer(problem=f"it cannot be started: {error.strerror}")
    with process:
        try:
            out, err = _output(process, words, timeout_seconds, emit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children hold our pipes, too
            return HelperAnswer(problem=f"it gave no answer within {timeout_seconds:g} s")
    if process.returncode == 0:
        return out
    if _NONE in (out + err).decode(errors="replace").lower():
        return HelperAnswer()
    return HelperAnswer(problem=f"it failed with exit code {process.returncode}")


def _output(process: subprocess.Popen[bytes], words: bytes, timeout_seconds: float, emit: Emit) -> tuple[bytes, bytes]:
    patient_seconds = min(_SILENT_SECONDS, timeout_seconds)
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.communicate(words, timeout=patient_seconds)
    left_seconds = timeout_seconds - patient_seconds
    if left_seconds > 0:
        name = Path(str(process.args[0] if isinstance(process.args, list) else process.args)).name
        emit(Notice(f"waiting for the credential helper {name}, for {left_seconds:.0f} s at most"))
    return process.communicate(timeout=left_seconds)


def _read(out: bytes) -> HelperAnswer:
    try:
        answer = json.loads(out)
        return HelperAnswer(str(answer["Username"]), str(answer["Secret"]))
    except (ValueError, KeyError, TypeError, RecursionError):  # their texts may quote the secret
        return HelperAnswer(problem="it printed no credentials")
