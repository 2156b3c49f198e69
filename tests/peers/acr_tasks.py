"""ACR Tasks of the stand-in for ARM: a context is uploaded, a run is scheduled, its log grows, an image comes out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.peers.acr import Acr
from tests.peers.acr_settings import AcrSettings
from tests.peers.arm import TASK_VERSIONS, Arm, ArmCall, arm_error
from tests.peers.blob_storage import Blob, BlobStorage
from tests.peers.faults import Fault
from tests.peers.stand_in_http import Answer
from tests.peers.task_builds import Build, BuildFailedError, Job, assemble

__all__ = ["AcrTasks"]

_CALLER_SINCE = "2025-03-01"
"""The API from which on a run can have its caller's rights; older ones do not know the field."""
_COMPLETE = {"Succeeded": "successful", "Failed": "failed", "Canceled": "canceled", "Timeout": "timedout"}


@dataclass(slots=True)
class _Run:
    job: Job
    registry: AcrSettings
    blob: Blob
    log_url: str = field(repr=False)
    status: str = "Queued"
    error: str = ""
    digest: str = ""
    started: threading.Event = field(default_factory=threading.Event)


class AcrTasks:
    """Adds its routes to `arm`."""

    def __init__(self, arm: Arm, registries: Mapping[str, Acr], storage: BlobStorage) -> None:
        self._arm, self._registries, self._storage = arm, registries, storage
        self._runs: dict[str, _Run] = {}
        self._uploads = 0
        self.build: Build = assemble
        """What builds; a test may put another in its place."""
        self.queue = threading.Event()
        """While it is not set, runs stay in the queue."""
        self.queue.set()
        for method, path, do in (
            ("POST", "/listBuildSourceUploadUrl", self._upload_url),
            ("POST", "/scheduleRun", self._schedule),
            ("GET", "/runs", self._list),
            ("GET", "/runs/([^/]+)", self._get),
            ("POST", "/runs/([^/]+)/cancel", self._cancel),
            ("POST", "/runs/([^/]+)/listLogSasUrl", self._log_url),
        ):
            arm.registry_route(method, path, do, TASK_VERSIONS)

    def reset(self) -> None:
        """Let the queue run, and builds be assembled."""
        self.queue.set()
        self.build = assemble

    def _upload_url(self, call: ArmCall) -> Answer:
        found = self._arm.registry(call, write=True, action="listBuildSourceUploadUrl/action")
        if isinstance(found, Answer):
            return found
        self._uploads += 1
        path = f"source/{self._uploads:032x}.tar.gz"
        _, url = self._storage.new(f"{found.resource_uid}/{path}", "BlockBlob")
        return Answer.of({"uploadUrl": url, "relativePath": path})

    def _schedule(self, call: ArmCall) -> Answer:
        found = self._arm.registry(call, write=True, action="scheduleRun/action")
        if isinstance(found, Answer):
            return found
        if found.faults.hit(Fault.TASKS_NOT_ALLOWED):
            text = f"ACR Tasks requests for the registry {found.name} and {self._arm.subscription} are not permitted."
            text += " Please file an Azure support request at http://aka.ms/azuresupport for assistance."
            return arm_error(400, "TasksOperationsNotAllowed", text)
        asked = call.request.json()
        if asked.get("type") != "DockerBuildRequest":
            return arm_error(400, "InvalidParameters", f"The stand-in runs no {asked.get('type')}")
        source = self._storage.get(f"{found.resource_uid}/{asked.get('sourceLocation')}")
        if source is None or source.data is None:
            return arm_error(400, "InvalidParameters", "The source location is invalid.")
        if call.request.asked("api-version") < _CALLER_SINCE:
            asked.pop("credentials", None)
        run = self._new_run(found, asked, bytes(source.data))
        return Answer.of(self._show(run))

    def _new_run(self, registry: AcrSettings, asked: Mapping[str, Any], context: bytes) -> _Run:
        run_id = f"ca{len(self._runs) + 1}"
        blob, url = self._storage.new(f"{registry.resource_uid}/logs/{run_id}/rawtext.log", "AppendBlob")
        acr = self._registries[registry.name.lower()]
        job = Job(run_id, asked, context, acr.place, blob.append, threading.Event())
        run = self._runs[run_id] = _Run(job, registry, blob, url)
        threading.Thread(target=self._work, args=(run,), name=run_id, daemon=True).start()
        return run

    def _work(self, run: _Run) -> None:
        while not self.queue.wait(0.05):
            if run.job.cancelled.is_set():
                break
        run.status = "Running"
        run.blob.append("Downloading source code...")
        run.blob.append("Finished downloading source code")
        try:
            _check(run)
            run.digest = self.build(run.job)
            run.blob.append(f"Run ID: {run.job.run_id} was successful")
            status = "Succeeded"
        except BuildFailedError as error:
            status = "Canceled" if run.job.cancelled.is_set() else "Failed"
            run.error = str(error)
            run.blob.append(f"failed to run step ID: build: {error}")
        run.status = status
        run.blob.complete = _COMPLETE[status]

    def _show(self, run: _Run) -> dict[str, Any]:
        images = [
            {"registry": run.registry.login_server, "repository": repository, "tag": tag, "digest": run.digest}
            for repository, _, tag in (name.partition(":") for name in run.job.names)
        ]
        properties = {
            "runId": run.job.run_id,
            "status": run.status,
            "runType": "QuickRun",
            "createTime": "2026-01-01T00:00:00.0000000+00:00",
            "outputImages": images if run.digest else None,
            "runErrorMessage": run.error or None,
            "platform": run.job.asked.get("platform"),
            "provisioningState": "Succeeded",
            "isArchiveEnabled": False,
        }
        return {
            "id": f"{run.registry.id}/runs/{run.job.run_id}",
            "name": run.job.run_id,
            "type": "Microsoft.ContainerRegistry/registries/runs",
            "properties": properties,
        }

    def _list(self, call: ArmCall) -> Answer:
        found = self._arm.registry(call)
        if isinstance(found, Answer):
            return found
        return Answer.of({"value": [self._show(run) for run in self._runs.values() if run.registry is found]})

    def _run(self, call: ArmCall, action: str, *, write: bool = False) -> _Run | Answer:
        found = self._arm.registry(call, write=write, action=action)
        if isinstance(found, Answer):
            return found
        run = self._runs.get(call.parts[2])
        return run or arm_error(404, "RunNotFound", f"The run {call.parts[2]} was not found.")

    def _get(self, call: ArmCall) -> Answer:
        run = self._run(call, "runs/read")
        return run if isinstance(run, Answer) else Answer.of(self._show(run))

    def _cancel(self, call: ArmCall) -> Answer:
        run = self._run(call, "runs/cancel/action", write=True)
        if isinstance(run, Answer):
            return run
        run.job.cancelled.set()
        return Answer(200)

    def _log_url(self, call: ArmCall) -> Answer:
        run = self._run(call, "runs/listLogSasUrl/action", write=True)
        return run if isinstance(run, Answer) else Answer.of({"logLink": run.log_url, "logArtifactLink": None})


def _check(run: _Run) -> None:
    """Tasks lose their right to push to registries with ABAC, unless the caller's is to be used.

    Raises:
        BuildFailedError: so it is, or the run was cancelled while it was in the queue.
    """
    if run.job.cancelled.is_set():
        raise BuildFailedError("the run was cancelled")
    caller = ((run.job.asked.get("credentials") or {}).get("sourceRegistry") or {}).get("identity")
    if (run.registry.abac or Fault.ABAC in run.registry.faults) and caller != "[caller]":
        raise BuildFailedError(f"unauthorized: authentication required, {run.registry.login_server}")
