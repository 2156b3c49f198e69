"""Builds through docker's own buildx program, for what the SDK cannot do: secret and ssh mounts need a session."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from shipml.build_elsewhere.build_log import BuildLog
from shipml.build_elsewhere.buildkit_trace import (
    LogLine,
    Trace,
    Transfer,
    Vertex,
)
from shipml.docker_engine import Engine
from shipml.errors import BuildError, UnavailableError

__all__ = ["require_buildx", "run_buildx"]

_VERSION_SECONDS = 20
_COMPLAINT_LINES = 20


def require_buildx(because: str) -> None:
    """Raise UnavailableError unless the program is there.

    Args:
        because: what needs it: "secret mounts need".
    """
    hint = "install it: sudo apt install docker-buildx (or docker-buildx-plugin from Docker's own packages)"
    if shutil.which("docker") is None:
        raise UnavailableError(f"{because} the docker program with buildx, and there is none", hint=hint)
    found = subprocess.run(["docker", "buildx", "version"], capture_output=True, timeout=_VERSION_SECONDS, check=False)
    if found.returncode != 0:
        raise UnavailableError(f"{because} docker's buildx, and this docker has none", hint=hint)


def run_buildx(words: Sequence[str], *, engine: Engine, arguments: Mapping[str, str], log: BuildLog) -> None:
    """Run `docker buildx build` with `words`; the image's id is then in `log.image_id`.

    Args:
        words: options, and the folder.
        engine: where the image is built; the program is pointed at it.
        arguments: build arguments; they are handed over in the environment, which no process list shows.
        log: hears of everything.

    Raises:
        BuildError: the build failed, with the program's last words.
    """
    names = [word for name in sorted(arguments) for word in ("--build-arg", name)]
    with tempfile.TemporaryDirectory(prefix="shipml-buildx-") as temporary:
        id_file = Path(temporary) / "id"
        process = subprocess.Popen(
            ["docker", "buildx", "build", "--builder", "default", "--progress", "rawjson", "--load",
             "--provenance=false", "--iidfile", str(id_file), *names, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **_pointed_at(engine), **arguments},
        )  # fmt: skip
        last_words = _listen(process, log)
        if process.returncode != 0:
            raise BuildError("\n".join(last_words) or f"buildx ended with {process.returncode}")
        log.image_id = id_file.read_text().strip()


def _pointed_at(engine: Engine) -> dict[str, str]:
    """The program reads DOCKER_HOST and contexts itself, but does not know all of the usual sockets."""
    return {} if engine.endpoint.source else {"DOCKER_HOST": engine.endpoint.url}


def _listen(process: subprocess.Popen[bytes], log: BuildLog) -> list[str]:
    """Follow the program to its end; its last lines that are not progress."""
    words: list[str] = []
    try:
        with process:
            for line in process.stderr or ():
                status = _json(line)
                if status is None:
                    words = [*words, line.decode("utf-8", "replace").strip()][-_COMPLAINT_LINES:]
                    log.note(words[-1])
                else:
                    log.trace(_trace(status))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return words


def _json(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _trace(status: Mapping[str, Any]) -> Trace:
    """A line of `--progress rawjson` (moby/buildkit, client.SolveStatus)."""
    return Trace(
        tuple(
            Vertex(
                str(one.get("digest", "")),
                str(one.get("name", "")),
                bool(one.get("cached")),
                _seconds(one.get("started")),
                _seconds(one.get("completed")),
                str(one.get("error", "")),
            )
            for one in status.get("vertexes") or ()
        ),
        tuple(
            Transfer(
                str(one.get("vertex", "")),
                str(one.get("id", "")),
                int(one.get("current") or 0),
                int(one.get("total") or 0),
            )
            for one in status.get("statuses") or ()
        ),
        tuple(
            LogLine(str(one.get("vertex", "")), int(one.get("stream") or 0), base64.b64decode(one.get("data") or ""))
            for one in status.get("logs") or ()
        ),
        tuple(
            base64.b64decode(one.get("short") or "").decode("utf-8", "replace") for one in status.get("warnings") or ()
        ),
    )


def _seconds(text: object) -> float | None:
    """RFC 3339 → POSIX time."""
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
