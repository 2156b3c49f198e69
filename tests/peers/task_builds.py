"""What builds in the stand-in for ACR Tasks: an assembler that runs nothing, or a real Docker Engine."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shlex
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.peers.registry_copy import Place

__all__ = ["Build", "BuildFailedError", "Job", "assemble"]

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class BuildFailedError(Exception):
    """A build ended badly, as its message says."""


@dataclass(slots=True)
class Job:
    """What a builder gets."""

    run_id: str
    asked: Mapping[str, Any]
    """The body of scheduleRun."""
    context: bytes
    """The tar archive, compressed or not, as it was uploaded."""
    place: Callable[[str], Place]
    """Repository → where to push to."""
    log: Callable[[str], None]
    cancelled: threading.Event

    @property
    def names(self) -> list[str]:
        """`repository:tag` of the image, the run's id filled in."""
        return [str(name).replace("{{.Run.ID}}", self.run_id) for name in self.asked.get("imageNames") or []]


Build = Callable[[Job], str]
"""Pushes the image under all names; returns the manifest's digest."""


def assemble(job: Job) -> str:
    """An image with the whole context in one layer and the settings of the Dockerfile; nothing of RUN is done.

    Raises:
        BuildFailedError: the Dockerfile is missing, or says what can be done nowhere (`RUN false`).
    """
    files = _files(job.context)
    wanted = str(job.asked.get("dockerFilePath") or "Dockerfile").removeprefix("./")
    if wanted not in files:
        raise BuildFailedError(f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {wanted}")
    config = _configure(files[wanted].decode(), job)
    layer = _layer(files, str(config["config"].get("WorkingDir") or "/app"))
    platform = job.asked.get("platform") or {}
    config |= {"os": str(platform.get("os", "linux")).lower(), "architecture": platform.get("architecture", "amd64")}
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    digest = ""
    for name in job.names:
        repository, _, tag = name.partition(":")
        place = job.place(repository)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, **place.put_blob(json.dumps(config).encode())},
            "layers": [{"mediaType": _LAYER, **place.put_blob(gzip.compress(layer, mtime=0))}],
        }
        digest = place.put_manifest(tag or "latest", json.dumps(manifest).encode(), _MANIFEST)
        job.log(f"{name}: digest: {digest} size: {len(json.dumps(manifest))}")
    return digest


def _files(context: bytes) -> dict[str, bytes]:
    """Regular files by path."""
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        members = [(one, archive.extractfile(one)) for one in archive if one.isfile()]
        return {one.name.removeprefix("./"): stream.read() for one, stream in members if stream is not None}


def _configure(dockerfile: str, job: Job) -> dict[str, Any]:
    settings: dict[str, Any] = {"Env": [], "Labels": {}}
    lines = [line.strip() for line in dockerfile.replace("\\\n", " ").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    for number, line in enumerate(lines, 1):
        if job.cancelled.is_set():
            raise BuildFailedError("the run was cancelled")
        job.log(f"Step {number}/{len(lines)} : {line}")
        word, _, rest = line.partition(" ")
        if word.upper() == "RUN" and rest.strip() == "false":
            raise BuildFailedError("The command '/bin/sh -c false' returned a non-zero code: 1")
        _apply(word.upper(), rest.strip(), settings)
    settings["Env"] += [f"{one['name']}={one['value']}" for one in job.asked.get("arguments") or [] if "value" in one]
    return {"config": settings, "created": "2026-01-01T00:00:00Z", "history": []}


def _apply(word: str, rest: str, settings: dict[str, Any]) -> None:
    if word in {"CMD", "ENTRYPOINT"}:
        name = "Cmd" if word == "CMD" else "Entrypoint"
        settings[name] = json.loads(rest) if rest.startswith("[") else ["/bin/sh", "-c", rest]
    elif word == "ENV":
        settings["Env"] += shlex.split(rest)
    elif word == "LABEL":
        settings["Labels"] |= dict(pair.split("=", 1) for pair in shlex.split(rest))
    elif word == "WORKDIR":
        settings["WorkingDir"] = rest
    elif word == "USER":
        settings["User"] = rest


def _layer(files: dict[str, bytes], folder: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(f"{folder.strip('/')}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()
