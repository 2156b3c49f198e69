"""ACR Tasks: a context is uploaded, a run is scheduled, its log is read while it grows.

The calls left azure-mgmt-containerregistry for a package that exists as a beta only; they are sent as they stand in the
REST reference (Microsoft.ContainerRegistry 2019-06-01-preview, Registries and Runs).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from shipml.azure.manager import AcrRegistry, Manager
from shipml.azure.sdk import azure_errors
from shipml.errors import TryAgainError, UntrustedInputError

if TYPE_CHECKING:
    import requests

__all__ = ["Run", "RunLog", "RunOutput", "Runs"]

_API = "2019-06-01-preview"
_ABAC_API = "2025-03-01-preview"
"""The first that takes `credentials.sourceRegistry.identity`, without which a run may not push where rights are given
for single repositories."""
_ATTEMPTS = 4
_PAUSE_SECONDS = 2.0
_TIMEOUT_SECONDS = 60.0
_UPLOAD_SECONDS = 600.0
"""Without an answer, after the last byte: large contexts take Azure a while."""
_LOG_LIMIT_BYTES = 1 << 20
_OK, _CREATED, _PARTIAL, _FORBIDDEN, _NOT_FOUND, _NO_MORE = 200, 201, 206, 403, 404, 416
_ENDED = frozenset({"Succeeded", "Failed", "Canceled", "Error", "Timeout"})
_WAITING = frozenset({"Queued", "Started"})


@dataclass(frozen=True, slots=True)
class RunOutput:
    """An image that a run has pushed."""

    repository: str
    tag: str
    digest: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as Azure last told of it."""

    id: str
    status: str
    """Queued, Started, Running, Succeeded, Failed, Canceled, Error or Timeout."""
    error: str
    """Why it failed, in Azure's words; "" where it has not."""
    outputs: tuple[RunOutput, ...]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes."""
        return self.status in _ENDED

    @property
    def waits(self) -> bool:
        """Whether it has no machine yet."""
        return self.status in _WAITING

    @classmethod
    def from_arm(cls, document: Mapping[str, Any]) -> Run:
        """Read ARM's JSON.

        Raises:
            UntrustedInputError: it is not a run.
        """
        try:
            properties = document["properties"]
            outputs = tuple(
                RunOutput(str(one.get("repository") or ""), str(one.get("tag") or ""), str(one.get("digest") or ""))
                for one in properties.get("outputImages") or ()
            )
            return cls(
                id=str(properties["runId"]),
                status=str(properties["status"]),
                error=str(properties.get("runErrorMessage") or ""),
                outputs=outputs,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UntrustedInputError("Azure describes a run in a way that shipml does not know") from error


class Runs:
    """Runs of one registry; every method raises ShipmlError, as `explain_manager` says."""

    def __init__(self, manager: Manager, registry: AcrRegistry, *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        """`pause_seconds` lie between attempts at an upload."""
        self.registry = registry
        self._manager = manager
        self._pause_seconds = pause_seconds
        self._version = _ABAC_API if registry.uses_abac else _API

    def upload(self, context: BinaryIO, size_bytes: int, progress: Callable[[int], None]) -> str:
        """Bring a compressed tar to where runs of the registry find it; returns its place there.

        Args:
            context: can be read again from its start.
            size_bytes: of it.
            progress: hears how many bytes have been sent of this attempt.

        Raises:
            TryAgainError: the storage does not take it.
        """
        found = self._call("POST", "/listBuildSourceUploadUrl", "upload the context to")
        url, place = str(found.get("uploadUrl") or ""), str(found.get("relativePath") or "")
        said = "there is no place for it"
        for attempt in range(_ATTEMPTS if url and place else 0):
            if attempt:
                time.sleep(self._pause_seconds * 2 ** (attempt - 1))
            said = self._put(url, _Counted(context, size_bytes, progress))
            if not said:
                return place
        raise TryAgainError(
            f"the context of {size_bytes} bytes cannot be uploaded to Azure's storage: {said}",
            hint="run the command again; what .dockerignore leaves out need not be sent",
        )

    def _put(self, url: str, body: _Counted) -> str:
        """Upload once; returns what went wrong, which never has the URL in it: whoever has that may write there."""
        try:
            answer = self._session.put(
                url,
                data=body,
                headers={"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"},
                timeout=(_TIMEOUT_SECONDS, _UPLOAD_SECONDS),
                allow_redirects=False,
            )
        except azure_errors() as error:
            return _reason(error)
        return "" if answer.status_code == _CREATED else f"it answered {answer.status_code}"

    def schedule(self, request: Mapping[str, Any]) -> Run:
        """Start a run; `request` is a DockerBuildRequest, FileTaskRunRequest or EncodedTaskRunRequest."""
        return Run.from_arm(self._call("POST", "/scheduleRun", "schedule a build in", request))

    def get(self, run_id: str) -> Run:
        """How a run stands now."""
        return Run.from_arm(self._call("GET", f"/runs/{run_id}", f"look at the run {run_id} of"))

    def cancel(self, run_id: str) -> None:
        """Stop a run."""
        self._call("POST", f"/runs/{run_id}/cancel", f"cancel the run {run_id} of")

    def log(self, run_id: str) -> RunLog:
        """What a run writes."""
        return RunLog(lambda: self._log_url(run_id), self._session)

    def _log_url(self, run_id: str) -> str:
        found = self._call("POST", f"/runs/{run_id}/listLogSasUrl", f"read the log of the run {run_id} of")
        return str(found.get("logLink") or "")

    @property
    def _session(self) -> requests.Session:
        return self._manager.identity.session

    def _call(self, method: str, path: str, doing: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._manager.call(
            method,
            f"{self.registry.id}{path}?api-version={self._version}",
            document,
            doing=f"{doing} {self.registry.name}",
            scope=self.registry.id,
        )


@dataclass(slots=True)
class RunLog:
    """A log that grows: an append blob, read in pieces from where the last one ended."""

    find_url: Callable[[], str] = field(repr=False)
    session: requests.Session = field(repr=False)
    is_complete: bool = False
    """Whether everything that was written has been read."""
    _url: str = field(default="", repr=False)
    _read_bytes: int = 0

    def read(self) -> bytes:
        """What is new, b"" for nothing or where Azure or its storage cannot be reached for the moment."""
        try:
            self._url = self._url or self.find_url()
        except TryAgainError:
            return b""
        try:
            answer = self.session.get(
                self._url,
                headers={"Range": f"bytes={self._read_bytes}-{self._read_bytes + _LOG_LIMIT_BYTES - 1}"},
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except azure_errors():
            return b""
        if answer.status_code == _FORBIDDEN:
            self._url = ""  # it is good for a while only
        if answer.status_code not in (_OK, _PARTIAL):
            self.is_complete = answer.status_code == _NO_MORE and self._has_ended()
            return b""
        data = answer.content
        if answer.status_code == _OK:  # all of it, since nobody read our Range
            data = data[self._read_bytes :]
        self._read_bytes += len(data)
        return data

    def _has_ended(self) -> bool:
        """Whether the blob says that nothing more comes, and nothing has come meanwhile."""
        try:
            answer = self.session.head(self._url, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
        except azure_errors():
            return False
        length = answer.headers.get("Content-Length", "")
        read_all = length.isdecimal() and int(length) <= self._read_bytes
        return "x-ms-meta-Complete" in answer.headers and read_all


class _Counted:
    """A file as `requests` sends it: with its length, from its start, telling how far it is."""

    def __init__(self, stream: BinaryIO, size_bytes: int, progress: Callable[[int], None]) -> None:
        stream.seek(0)
        self._stream = stream
        self._size_bytes = size_bytes
        self._progress = progress
        self._sent_bytes = 0

    def __len__(self) -> int:
        return self._size_bytes

    def read(self, size_bytes: int = -1) -> bytes:
        """The next piece."""
        data = self._stream.read(size_bytes)
        self._sent_bytes += len(data)
        self._progress(self._sent_bytes)
        return data


def _reason(error: Exception) -> str:
    """Why the storage was not reached, without the URL."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is of an authority that is not trusted here"
    return "it gives no answer in time" if "imed out" in text else "the connection was lost"
