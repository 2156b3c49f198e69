"""One blob on its way into a registry: in one request when small, else in chunks that can be resumed.

distribution-spec 1.1, "Pushing blobs". A session's URL changes with every answer and may be relative.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import BinaryIO, Protocol

from shipml.errors import ShipmlError, StoreError, UntrustedInputError
from shipml.oci.digest import Digest
from shipml.registry.authorized_client import AuthorizedClient, Request
from shipml.registry.errors import RefusedError, Response, said
from shipml.registry.scopes import Access
from shipml.registry.transport import InterruptedRequestError

__all__ = ["Blob", "BlobSource", "BlobUpload", "Upload", "session_of"]

_SMALLEST_CHUNK_BYTES = 1 << 20
"""What every proxy lets through."""
_PATIENCE = 5
"""For the answer after the last byte: a registry may have to hash all of them, or move them in its storage."""
_TAKEN = (HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT)
"""Of chunks: what the specification says, and what go-containerregistry's registry does."""
_STORED = (HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_SESSION_THERE = (200, 202, 204)
_SESSION_LOST = (400, 404, 405, 416)
_OTHER_WAY = (400, 404, 405, 411, 413, 415, 416, 501)
"""Refusals of data which another session or other chunks may avoid. The CNCF registry drops a session that was cut."""
_NO_CHUNKS = (400, 405, 411, 415, 501)
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_NUMBER = re.compile(r"[0-9]{1,18}")
"""What a size can be: Python refuses to read numbers of thousands of digits."""


class _Doubt(Enum):
    """What is not known after a request was interrupted."""

    NONE = 0
    SESSION = 1
    """What the session has."""
    BLOB = 2
    """Whether the blob is there already."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A session that a registry has opened."""

    url: str
    chunk_minimum_bytes: int = 0
    """What all chunks but the last must have."""
    received_bytes: int = 0


def session_of(answer: Response, client: AuthorizedClient, received_bytes: int | None = None) -> Upload:
    """The session that an answer leads to; `received_bytes`: what it has where the answer does not say.

    Raises:
        UntrustedInputError: it leads nowhere, or where nothing must be sent.
    """
    location = answer.headers.get("Location")
    url = client.address.follow(location or "", answer.url, "where to upload")
    minimum = answer.headers.get("OCI-Chunk-Min-Length", "")
    found = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    if found:
        last = int(found[1])
        received_bytes = last + 1 if last else 0  # 0-0 is what the CNCF registry says of nothing
    return Upload(url, int(minimum) if _NUMBER.fullmatch(minimum) else 0, received_bytes or 0)


def with_digest(url: str, digest: Digest) -> str:
    """`url` with `digest=` in its query, whatever else that has."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(query=f"{parts.query}&digest={digest}".lstrip("&")))


class BlobUpload:
    """One blob's upload, over as many requests and sessions as it takes."""

    def __init__(
        self,
        client: AuthorizedClient,
        repository: str,
        blob: Blob,
        open_session: Callable[[], Upload],
        has_blob: Callable[[], bool],
        *,
        chunk_bytes: int,
        progress: Callable[[int], None],
    ) -> None:
        self._client = client
        self._access = Access.push(repository)
        self._what = f"upload {blob.digest.short} to {client.address.registry}/{repository}"
        self._blob = blob
        self._open_session = open_session
        self._has_blob = has_blob
        self._chunk_bytes = chunk_bytes
        self._progress = progress
        self._shown_bytes = 0
        self._session: Upload | None = None
        self._doubt = _Doubt.NONE
        self._confirmed_bytes = self._resumed_at_bytes = 0

    def run(self, session: Upload | None) -> None:
        """Upload, in `session` if there is one.

        Raises:
            UntrustedInputError: the bytes are not those of the digest.
            ShipmlError: as `AuthorizedClient.ask`.
        """
        self._session = session
        with BlobSource(self._blob, self._show) as source:
            try:
                self._client.transport.with_retries(lambda: self._attempt(source), advanced=self._has_advanced)
            except InterruptedRequestError:
                raise
            except ShipmlError:
                self._give_up()
                raise

    def _attempt(self, source: BlobSource) -> None:
        if self._doubt is _Doubt.BLOB and self._has_blob():
            self._show(self._blob.size_bytes)
            return
        session = self._session_now()
        if not session.received_bytes and self._blob.size_bytes <= self._chunk_limit_bytes(session):
            self._doubt = _Doubt.BLOB
            self._send(session, "PUT", source, self._blob.size_bytes)
            return
        while session.received_bytes < self._blob.size_bytes:
            session = self._send_chunk(session, source)
        self._doubt = _Doubt.BLOB
        self._finish(session)

    def _session_now(self) -> Upload:
        """The session to go on with: the one there is, as far as the registry has it, else a new one."""
        session = self._session
        if session is not None and self._doubt is not _Doubt.NONE:
            answer = self._ask("GET", session.url, *_SESSION_THERE, *_SESSION_LOST)
            session = session_of(answer, self._client) if answer.status in _SESSION_THERE else None
        if session is None or session.received_bytes > self._blob.size_bytes:
            session = self._open_session()
        self._session, self._doubt = session, _Doubt.NONE
        self._show(session.received_bytes)
        return session

    def _chunk_limit_bytes(self, session: Upload) -> int:
        return max(self._chunk_bytes, session.chunk_minimum_bytes)

    def _send_chunk(self, session: Upload, source: BlobSource) -> Upload:
        start = session.received_bytes
        end = min(start + self._chunk_limit_bytes(session), self._blob.size_bytes)
        self._doubt = _Doubt.SESSION
        answer = self._send(session, "PATCH", source, end)
        after = session_of(answer, self._client, end)
        if not start < after.received_bytes <= end:
            raise InterruptedRequestError(
                f"cannot {self._what}: the registry says that it has {after.received_bytes} bytes, where {start} to"
                f" {end} can be"
            )
        self._session, self._doubt = after, _Doubt.NONE
        self._confirmed_bytes = max(self._confirmed_bytes, after.received_bytes)
        return after

    def _send(self, session: Upload, method: str, source: BlobSource, end: int) -> Response:
        """PATCH a chunk, or PUT all."""
        start = session.received_bytes
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(end - start)}
        url = session.url
        if method == "PATCH":
            headers["Content-Range"] = f"{start}-{end - 1}"
        else:
            url = with_digest(url, self._blob.digest)
        request = Request(
            method,
            url,
            self._access,
            self._what,
            headers,
            lambda: source.pieces(start, end),
            patience=_PATIENCE if method == "PUT" else 1,
        )
        fine = _TAKEN if method == "PATCH" else _STORED
        answer = self._client.ask_once(request, (*fine, *_OTHER_WAY))
        if answer.status not in fine:
            raise self._another_way(answer, end - start, may_be_whole=method == "PATCH" and start == 0)
        return answer

    def _another_way(self, answer: Response, sent_bytes: int, *, may_be_whole: bool) -> ShipmlError:
        """What to raise after a refusal that another way of sending may avoid."""
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            if sent_bytes <= _SMALLEST_CHUNK_BYTES:
                return RefusedError(
                    f"cannot {self._what}: {self._client.address.registry} does not take {sent_bytes} bytes at"
                    f" once{said(answer)}",
                    hint="a proxy before the registry limits requests (nginx: client_max_body_size): let it allow more",
                    said=said(answer),
                )
            self._chunk_bytes = max(_SMALLEST_CHUNK_BYTES, sent_bytes // 4)
        elif answer.status in _NO_CHUNKS and may_be_whole:
            self._chunk_bytes = self._blob.size_bytes
        return InterruptedRequestError(
            f"cannot {self._what}: {self._client.address.registry} answered {answer.status}{said(answer)}",
            hint="run the same command again; if it fails again, the registry or a proxy before it is set up wrongly",
            said=said(answer),
            status=answer.status,
        )

    def _finish(self, session: Upload) -> None:
        url = with_digest(session.url, self._blob.digest)
        answer = self._ask("PUT", url, *_STORED, *_SESSION_LOST, patience=_PATIENCE)
        if answer.status not in _STORED:
            raise self._another_way(answer, 0, may_be_whole=False)

    def _ask(self, method: str, url: str, *fine: int, patience: int = 1) -> Response:
        headers = {"Content-Length": "0"} if method == "PUT" else {}
        request = Request(method, url, self._access, self._what, headers, patience=patience)
        return self._client.ask_once(request, fine)

    def _has_advanced(self) -> bool:
        advanced = self._confirmed_bytes > self._resumed_at_bytes
        self._resumed_at_bytes = self._confirmed_bytes
        return advanced

    def _show(self, position_bytes: int) -> None:
        if position_bytes != self._shown_bytes:
            change, self._shown_bytes = position_bytes - self._shown_bytes, position_bytes
            self._progress(change)

    def _give_up(self) -> None:
        if self._session is not None:
            with contextlib.suppress(ShipmlError):
                self._ask("DELETE", self._session.url, *_SESSION_THERE, *_SESSION_LOST)


_SMALLEST_PIECE_BYTES, _LARGEST_PIECE_BYTES = 1 << 16, 1 << 20
_SHORT_SECONDS, _LONG_SECONDS = 0.25, 2.0
"""For which a piece is sent before the next ones become larger or smaller."""


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


class BlobSource:
    """A blob's bytes from any position, hashed once each."""

    def __init__(self, blob: Blob, show: Callable[[int], None]) -> None:
        self._blob = blob
        self._show = show
        self._stream: BinaryIO | None = None
        self._position = self._hashed = 0
        self._hash = hashlib.sha256()
        self._piece_bytes = _SMALLEST_PIECE_BYTES

    def __enter__(self) -> BlobSource:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`; the last of all only if all are what the digest says.

        Raises:
            UntrustedInputError: they are not.
            StoreError: they cannot be read.
        """
        self._go_to(start)
        while self._position < end:
            piece = self._read(end - self._position)
            if not piece:
                raise UntrustedInputError(f"the blob {self._blob.digest} ends early: it is damaged")
            if self._position == self._blob.size_bytes:
                self._check_digest()
            began_at_seconds = time.monotonic()
            yield piece
            self._adapt(time.monotonic() - began_at_seconds)
            self._show(self._position)

    def _check_digest(self) -> None:
        if self._hash.hexdigest() != self._blob.digest.hex:
            raise UntrustedInputError(f"the blob {self._blob.digest} is damaged: its digest differs")

    def _adapt(self, elapsed_seconds: float) -> None:
        """Large pieces are fast, but each must leave within the timeout on slow lines, too."""
        if elapsed_seconds < _SHORT_SECONDS:
            self._piece_bytes = min(self._piece_bytes * 2, _LARGEST_PIECE_BYTES)
        elif elapsed_seconds > _LONG_SECONDS:
            self._piece_bytes = max(self._piece_bytes // 2, _SMALLEST_PIECE_BYTES)

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
            piece = self._stream.read(min(limit_bytes, self._piece_bytes))
        except OSError as error:
            raise StoreError(f"the blob {self._blob.digest} cannot be read: {error.strerror}") from error
        before, self._position = self._position, self._position + len(piece)
        if before <= self._hashed < self._position:
            self._hash.update(piece[self._hashed - before :])
            self._hashed = self._position
        return piece
