"""Builds for the stand-in for ACR Tasks on a real Docker Engine, as Azure's agents do."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from pathlib import Path

from tests.peers.engine import Engine, run
from tests.peers.task_builds import Build, BuildFailedError, Job

__all__ = ["builds_on"]


def builds_on(engine: Engine) -> Build:
    """What `AcrTasks.build` can be set to: `docker build` with the context, then the image goes to the registry."""

    def build(job: Job) -> str:
        _build(engine, job)
        digest = ""
        for name in job.names:
            digest = _push(engine, job, name)
        return digest

    return build


def _build(engine: Engine, job: Job) -> None:
    """Raises BuildFailedError where docker does, or the run is cancelled."""
    asked = job.asked
    options = [word for name in job.names for word in ("--tag", name)]
    for one in asked.get("arguments") or []:
        options += ["--build-arg", f"{one['name']}={one['value']}"]
    if asked.get("target"):
        options += ["--target", str(asked["target"])]
    if asked.get("noCache"):
        options.append("--no-cache")
    file = str(asked.get("dockerFilePath") or "Dockerfile")
    with subprocess.Popen(
        ["docker", "build", "--network", "host", "--file", file, *options, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | engine.environment | {"DOCKER_BUILDKIT": "0"},
    ) as docker:
        assert docker.stdin is not None
        assert docker.stdout is not None
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(job, docker, ended), daemon=True)
        watching.start()
        with docker.stdin as stdin:
            stdin.write(job.context)
        for line in docker.stdout:
            job.log(line.decode(errors="replace").rstrip())
        docker.wait()
        ended.set()
        watching.join()
    if docker.returncode != 0:
        raise BuildFailedError("the run was cancelled" if job.cancelled.is_set() else "exit status 1")


def _watch(job: Job, docker: subprocess.Popen[bytes], ended: threading.Event) -> None:
    while not ended.wait(0.05):
        if job.cancelled.is_set():
            docker.terminate()
            return


def _push(engine: Engine, job: Job, name: str) -> str:
    repository, _, tag = name.partition(":")
    place = job.place(repository)
    host = place.url.partition("://")[2]
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        engine.docker("save", "--output", str(archive), name)
        target = f"docker://{host}/{repository}:{tag or 'latest'}"
        run(
            ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--dest-registry-token", place.token,
             f"docker-archive:{archive}", target]
        )  # fmt: skip
    digest = place.digest(tag or "latest")
    job.log(f"{name}: digest: {digest}")
    return digest
