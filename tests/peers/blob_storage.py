"""Stands in for Azure's blob storage as container registries use it: contexts that are uploaded, logs that grow."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from tests.peers.marks import marked
from tests.peers.request_log import RequestLog
from tests.peers.stand_in_http import Answer, Request, StandIn
from tests.peers.stand_in_tls import Authority

__all__ = ["Blob", "BlobStorage"]

_HOST = "standin.blob.core.windows.net"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Blob:
    """One blob; None as data: not there yet."""

    kind: str
    """BlockBlob or AppendBlob."""
    data: bytearray | None = None
    complete: str = ""
    """Metadata `Complete`: how a run ended."""
    signature: str = field(default_factory=lambda: marked("shared-access-signature"), repr=False)

    def append(self, text: str) -> None:
        """Add a line, as Azure ends them."""
        self.data = (self.data or bytearray()) + text.encode() + b"\r\n"


class BlobStorage:
    """Gives out URLs with a shared access signature (SAS), each good for one blob."""

    def __init__(self, authority: Authority, log: RequestLog) -> None:
        self._blobs: dict[str, Blob] = {}
        self._lock = threading.Lock()
        self.server = StandIn("blob", self._answer, log=log, tls=authority.server_context())
        self.close = self.server.close

    def new(self, path: str, kind: str) -> tuple[Blob, str]:
        """A blob and the URL that opens it."""
        blob = Blob(kind)
        with self._lock:
            self._blobs[f"/{path}"] = blob
        return blob, self.url(path, blob)

    def url(self, path: str, blob: Blob) -> str:
        """With its signature."""
        return f"https://{_HOST}/{path}?sv=2023-11-03&sr=b&sp=rw&se=2099-01-01T00%3A00%3A00Z&sig={blob.signature}"

    def get(self, path: str) -> Blob | None:
        """What was uploaded there."""
        with self._lock:
            return self._blobs.get(f"/{path}")

    def _answer(self, request: Request) -> Answer:
        blob = self._blobs.get(request.path)
        if request.headers.get("Authorization"):  # a token for somebody else
            return _refuse(400, "InvalidAuthenticationInfo", note="a token was sent to the storage")
        if blob is None or request.asked("sig") != blob.signature:
            return _refuse(403, "AuthenticationFailed", note="signature")
        if request.method == "PUT":
            return _put(request, blob)
        if blob.data is None:
            return _refuse(404, "BlobNotFound")
        return _get(request, blob, bytes(blob.data))


def _put(request: Request, blob: Blob) -> Answer:
    if request.headers.get("x-ms-blob-type") != blob.kind:
        return _refuse(400, "MissingRequiredHeader", note="x-ms-blob-type")
    if request.body.length is None:
        return _refuse(411, "MissingContentLengthHeader", note="Content-Length")
    blob.data = bytearray(request.body.read_all())
    return Answer(201)


def _get(request: Request, blob: Blob, data: bytes) -> Answer:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Accept-Ranges": "bytes", "x-ms-blob-type": blob.kind}
    if blob.complete:
        headers["x-ms-meta-Complete"] = blob.complete
    wanted = _RANGE.fullmatch(request.headers.get("x-ms-range") or request.headers.get("Range") or "")
    if wanted is None:
        return Answer(200, data, headers)
    first = int(wanted[1])
    if first >= len(data):
        answer = _refuse(416, "InvalidRange", note="")
        answer.headers["Content-Range"] = f"bytes */{len(data)}"
        return answer
    last = min(int(wanted[2] or len(data)), len(data) - 1)
    return Answer(206, data[first : last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"})


def _refuse(status: int, code: str, note: str = "") -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code}
    return Answer(status, body.encode(), headers, note=note or code)
