"""ACR Tasks of the stand-in cloud: what a client must do, and what comes of it."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.peers.asking import Asking
from tests.peers.azure_cloud import AzureCloud
from tests.peers.engine import Engine
from tests.peers.faults import Fault
from tests.peers.task_engine import builds_on

REGISTRY = "/resourceGroups/ml/providers/Microsoft.ContainerRegistry/registries/demoint"
VERSION = "?api-version=2025-03-01-preview"
BLOCK = {"x-ms-blob-type": "BlockBlob"}
GOOD = 'FROM scratch\nWORKDIR /srv\nENV A=1\nCOPY . .\nCMD ["/srv/run"]\n'


def _context(dockerfile: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in {"Dockerfile": dockerfile, "run": "hello"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


class _Client:
    """Asks as `az acr build` does."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def post(self, path: str, body: object = None) -> Any:
        """The answer as JSON."""
        data = json.dumps(body) if body is not None else None
        answer = self._asking.arm("POST", f"{REGISTRY}{path}{VERSION}", body=data)
        return answer.json() if answer.data else {}

    def upload(self, dockerfile: str) -> str:
        """The location of a context."""
        place = self.post("/listBuildSourceUploadUrl")
        stored = self._asking.ask("PUT", place["uploadUrl"], body=_context(dockerfile), headers=BLOCK)
        assert stored.status == 201
        return str(place["relativePath"])

    def schedule(self, source: str, **more: object) -> Any:
        """The run."""
        asked = {"type": "DockerBuildRequest", "imageNames": ["ml/task:{{.Run.ID}}"], "isPushEnabled": True}
        return self.post("/scheduleRun", asked | {"dockerFilePath": "Dockerfile", "sourceLocation": source} | more)

    def get(self, run: str) -> Any:
        """Its properties."""
        return self._asking.arm("GET", f"{REGISTRY}/runs/{run}{VERSION}").json()["properties"]

    def wait(self, run: str) -> Any:
        """Its properties in the end."""
        deadline = time.monotonic() + 30
        while (found := self.get(run))["status"] in {"Queued", "Started", "Running"}:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found

    def log(self, run: str, **headers: str) -> Any:
        """The answer of the log's storage."""
        link = self.post(f"/runs/{run}/listLogSasUrl")["logLink"]
        return self._asking.ask("GET", link, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def client(asking: Asking) -> _Client:
    """A client that is allowed to."""
    return _Client(asking)


@pytest.fixture
def waiting_queue(azure_cloud: AzureCloud) -> Iterator[threading.Event]:
    """Runs stay in the queue until it is set."""
    azure_cloud.tasks.queue.clear()
    yield azure_cloud.tasks.queue
    azure_cloud.tasks.queue.set()


@pytest.mark.engine
def test_a_context_becomes_an_image(azure_cloud: AzureCloud, client: _Client) -> None:
    """Uploaded, built, pushed; the run names its digest, the image has the Dockerfile's settings."""
    run = client.schedule(client.upload(GOOD))["properties"]
    assert run["status"] in {"Queued", "Running", "Succeeded"}
    done = client.wait(run["runId"])
    assert done["status"] == "Succeeded", client.log(run["runId"]).data
    image: Mapping[str, str] = done["outputImages"][0]
    assert (image["registry"], image["repository"], image["tag"]) == ("demoint.azurecr.io", "ml/task", run["runId"])
    place = azure_cloud.int.place("ml/task")
    assert place.digest(run["runId"]) == image["digest"]
    config = json.loads(place.manifest(run["runId"])[0])["config"]["digest"]
    shown = json.loads(place.ask("GET", f"blobs/{config}").data)["config"]
    assert (shown["WorkingDir"], shown["Cmd"], shown["Env"]) == ("/srv", ["/srv/run"], ["A=1"])


@pytest.mark.engine
def test_the_log_grows_and_says_when_it_is_complete(client: _Client, waiting_queue: threading.Event) -> None:
    """404 in the queue; then ranges of lines that end as Azure's do; the metadata at the end."""
    run = client.schedule(client.upload(GOOD))["properties"]["runId"]
    assert (client.log(run).status, client.get(run)["status"]) == (404, "Queued")
    waiting_queue.set()
    client.wait(run)
    whole = client.log(run)
    assert whole.headers["x-ms-meta-Complete"] == "successful"
    assert b"WORKDIR /srv\r\n" in whole.data
    part = client.log(run, Range="bytes=5-9")
    assert (part.status, part.data) == (206, whole.data[5:10])
    assert part.headers["Content-Range"] == f"bytes 5-9/{len(whole.data)}"
    assert client.log(run, Range=f"bytes={len(whole.data)}-").status == 416


@pytest.mark.engine
@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [("FROM scratch\nRUN false\n", "non-zero code: 1"), ("FROM scratch\n", "Dockerfile path: other")],
)
def test_a_build_fails(client: _Client, dockerfile: str, said: str) -> None:
    """The run says so, and the log why."""
    name = "other" if "other" in said else "Dockerfile"
    run = client.schedule(client.upload(dockerfile), dockerFilePath=name)["properties"]["runId"]
    done = client.wait(run)
    assert (done["status"], done["outputImages"]) == ("Failed", None)
    log = client.log(run)
    assert (log.headers["x-ms-meta-Complete"], said in log.data.decode()) == ("failed", True)


def test_a_run_is_cancelled_in_the_queue(client: _Client, waiting_queue: threading.Event) -> None:
    """It ends as cancelled, and never builds."""
    run = client.schedule(client.upload(GOOD))["properties"]["runId"]
    client.post(f"/runs/{run}/cancel")
    assert client.wait(run)["status"] == "Canceled"
    assert client.log(run).headers["x-ms-meta-Complete"] == "canceled"


def test_what_the_storage_refuses(asking: Asking, client: _Client, azure_cloud: AzureCloud) -> None:
    """No kind of blob, a wrong signature, a token that is not for it, no such blob."""
    place = client.post("/listBuildSourceUploadUrl")["uploadUrl"]
    assert asking.ask("PUT", place, body=b"x").status == 400
    assert asking.ask("PUT", f"{place}x", body=b"x", headers=BLOCK).status == 403
    token = azure_cloud.directory.access_token(azure_cloud.identity("developer"), "https://management.azure.com")
    leaking = BLOCK | {"Authorization": f"Bearer {token}"}
    assert asking.ask("PUT", place, body=b"x", headers=leaking).status == 400
    assert azure_cloud.log.find("blob")[-1].note == "a token was sent to the storage"
    assert client.schedule("source/unknown.tar.gz")["error"]["code"] == "InvalidParameters"


def test_tasks_may_be_switched_off(azure_cloud: AzureCloud, client: _Client) -> None:
    """As for subscriptions with free credits."""
    source = client.upload(GOOD)
    with azure_cloud.fault(Fault.TASKS_NOT_ALLOWED):
        assert client.schedule(source)["error"]["code"] == "TasksOperationsNotAllowed"


@pytest.mark.engine
def test_tasks_need_the_callers_rights_where_repositories_have_roles(azure_cloud: AzureCloud, client: _Client) -> None:
    """With ABAC a run pushes only if it was told to take the caller's identity."""
    source = client.upload(GOOD)
    with azure_cloud.fault(Fault.ABAC):
        refused = client.wait(client.schedule(source)["properties"]["runId"])
        caller = {"sourceRegistry": {"identity": "[caller]"}}
        allowed = client.wait(client.schedule(source, credentials=caller)["properties"]["runId"])
    assert [refused["status"], allowed["status"]] == ["Failed", "Succeeded"]


@pytest.mark.engine
def test_a_real_engine_can_build(azure_cloud: AzureCloud, client: _Client, docker_20: Engine) -> None:
    """Its lines are the log, its image is in the registry; what it cannot build fails."""
    azure_cloud.tasks.build = builds_on(docker_20)
    done = client.wait(client.schedule(client.upload(GOOD))["properties"]["runId"])
    assert (done["status"], done["runErrorMessage"]) == ("Succeeded", None)
    assert b"Successfully built" in client.log(done["runId"]).data
    assert azure_cloud.int.place("ml/task").digest(done["runId"]) == done["outputImages"][0]["digest"]
    failed = client.wait(client.schedule(client.upload("FROM scratch\nCOPY missing /\n"))["properties"]["runId"])
    assert (failed["status"], failed["runErrorMessage"]) == ("Failed", "exit status 1")
