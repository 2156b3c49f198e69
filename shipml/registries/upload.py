"""One blob on its way into a registry: in one request when small, else in chunks that can be resumed.

distribution-spec 1.1, "Pushing blobs". A session's URL changes with every answer and may be relative.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from shipml.errors import ShipmlError, StoreError, UntrustedInputError
from shipml.oci.digest import Digest
from shipml.registries.access import Access
from shipml.registries.conversation import Conversation, Question
from shipml.registries.transport import Answer, InterruptedRequestError

__all__ = ["Blob", "BlobUpload", "Upload", "session_of"]

_PIECE_BYTES = 1 << 20
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]+)")


class Blob(Protocol):
    """What is uploaded: a layer, or a config."""

    @property
    def digest(self) -> Digest:
        """Of the bytes."""

    @property
    def size_bytes(self) -> int:
        """Their number."""

    def open(self) -> BinaryIO:
        """The bytes, from their start; called again when an upload starts over."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A session that a registry has opened."""

    url: str
    chunk_minimum_bytes: int = 0
    """What all chunks but the last must have."""
    received_bytes: int = 0


def session_of(answer: Answer, conversation: Conversation, received_bytes: int | None = None) -> Upload:
    """The session that an answer leads to; `received_bytes`: what it has where the answer does not say.

    Raises:
        UntrustedInputError: it leads nowhere, or where nothing must be sent.
    """
    location = answer.headers.get("Location")
    url = urllib.parse.urljoin(answer.url, location) if location else answer.url
    conversation.address.check(url, "where to upload")
    minimum = answer.headers.get("OCI-Chunk-Min-Length", "")
    found = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    if found:
        last = int(found[1])
        received_bytes = last + 1 if last else 0  # 0-0 is what the CNCF registry says of nothing
    return Upload(url, int(minimum) if minimum.isdecimal() else 0, received_bytes or 0)


def with_digest(url: str, digest: Digest) -> str:
    """`url` with `digest=` in its query, whatever else that has."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(query=f"{parts.query}&digest={digest}".lstrip("&")))


class BlobUpload:
    """One blob's upload, over as many requests and sessions as it takes."""

    def __init__(
        self,
        conversation: Conversation,
        repository: str,
        blob: Blob,
        open_session: Callable[[], Upload],
        has_blob: Callable[[], bool],
        *,
        chunk_bytes: int,
        progress: Callable[[int], None],
    ) -> None:
        self._conversation = conversation
        self._access = Access.push(repository)
        self._what = f"upload {blob.digest.short} to {repository}"
        self._blob = blob
        self._open_session = open_session
        self._has_blob = has_blob
        self._chunk_bytes = chunk_bytes
        self._progress = progress
        self._shown_bytes = 0
        self._session: Upload | None = None
        self._in_doubt = False
        """Whether a request was interrupted, so that what the session has is not known."""
        self._confirmed_bytes = self._resumed_at_bytes = 0

    def run(self, session: Upload | None) -> None:
        """Upload, in `session` if there is one.

        Raises:
            UntrustedInputError: the bytes are not those of the digest.
            ShipmlError: as `Conversation.ask`.
        """
        self._session = session
        with _Source(self._blob, self._show) as source:
            try:
                self._conversation.transport.patiently(lambda: self._attempt(source), advanced=self._has_advanced)
            except InterruptedRequestError:
                raise
            except ShipmlError:
                self._give_up()
                raise

    def _attempt(self, source: _Source) -> None:
        if self._in_doubt and self._has_blob():
            self._show(self._blob.size_bytes)
            return
        session = self._session_now()
        if self._blob.size_bytes <= max(self._chunk_bytes, session.chunk_minimum_bytes) and not session.received_bytes:
            self._in_doubt = True
            self._send(session, "PUT", source, self._blob.size_bytes)
            return
        while session.received_bytes < self._blob.size_bytes:
            self._in_doubt = True
            chunk_bytes = max(self._chunk_bytes, session.chunk_minimum_bytes)
            end = min(session.received_bytes + chunk_bytes, self._blob.size_bytes)
            answer = self._send(session, "PATCH", source, end)
            session = self._session = session_of(answer, self._conversation, end)
            self._in_doubt = False
            self._confirmed_bytes = max(self._confirmed_bytes, session.received_bytes)
        source.check_digest()
        self._in_doubt = True
        self._ask("PUT", with_digest(session.url, self._blob.digest), 201, 204)

    def _session_now(self) -> Upload:
        session = self._session
        if session is not None and self._in_doubt:
            answer = self._ask("GET", session.url, 200, 202, 204, 400, 404, 405, 416)
            session = session_of(answer, self._conversation) if answer.status in (200, 202, 204) else None
            if session is not None and session.received_bytes > self._blob.size_bytes:
                session = None
        if session is None:
            session = self._open_session()
        self._session, self._in_doubt = session, False
        self._show(session.received_bytes)
        return session

    def _send(self, session: Upload, method: str, source: _Source, end: int) -> Answer:
        start = session.received_bytes
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(end - start)}
        url = session.url
        if method == "PATCH":
            headers["Content-Range"] = f"{start}-{end - 1}"
        else:
            url = with_digest(url, self._blob.digest)
        fine = (202,) if method == "PATCH" else (201, 204)
        question = Question(method, url, self._access, self._what, headers, lambda: source.pieces(start, end))
        answer = self._conversation.ask_once(question, (*fine, 404, 416))
        if answer.status not in fine:
            raise InterruptedRequestError(
                f"cannot {self._what}: its session answered {answer.status}", status=answer.status
            )
        return answer

    def _ask(self, method: str, url: str, *fine: int) -> Answer:
        headers = {"Content-Length": "0"} if method == "PUT" else {}
        return self._conversation.ask_once(Question(method, url, self._access, self._what, headers), fine)

    def _has_advanced(self) -> bool:
        advanced = self._confirmed_bytes > self._resumed_at_bytes
        self._resumed_at_bytes = self._confirmed_bytes
        return advanced

    def _show(self, position_bytes: int) -> None:
        if position_bytes != self._shown_bytes:
            self._progress(position_bytes - self._shown_bytes)
            self._shown_bytes = position_bytes

    def _give_up(self) -> None:
        if self._session is not None:
            with contextlib.suppress(ShipmlError):
                self._ask("DELETE", self._session.url, 200, 202, 204, 404)


class _Source:
    """A blob's bytes from any position, hashed once each."""

    def __init__(self, blob: Blob, show: Callable[[int], None]) -> None:
        self._blob = blob
        self._show = show
        self._stream: BinaryIO | None = None
        self._position = self._hashed = 0
        self._hash = hashlib.sha256()

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`."""
        self._go_to(start)
        while self._position < end:
            piece = self._read(end - self._position)
            if not piece:
                raise UntrustedInputError(f"the blob {self._blob.digest} ends early: it is damaged")
            if self._position == self._blob.size_bytes:
                self.check_digest()
            yield piece
            self._show(self._position)

    def check_digest(self) -> None:
        """Make sure that what was read is what the digest says."""
        if self._hash.hexdigest() != self._blob.digest.hex:
            raise UntrustedInputError(f"the blob {self._blob.digest} is damaged: its digest differs")

    def _go_to(self, start: int) -> None:
        if self._stream is None or (start != self._position and not self._stream.seekable()):
            if self._stream is not None:
                self._stream.close()
            self._stream, self._position = self._blob.open(), 0
        if self._stream.seekable():
            self._stream.seek(start)
            self._position = start
        while self._position < start and self._read(start - self._position):
            pass

    def _read(self, limit_bytes: int) -> bytes:
        assert self._stream is not None  # noqa: S101  (opened by _go_to)
        try:
            piece = self._stream.read(min(limit_bytes, _PIECE_BYTES))
        except OSError as error:
            raise StoreError(f"the blob {self._blob.digest} cannot be read: {error.strerror}") from error
        before, self._position = self._position, self._position + len(piece)
        if before <= self._hashed < self._position:
            self._hash.update(piece[self._hashed - before :])
            self._hashed = self._position
        return piece
