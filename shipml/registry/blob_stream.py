"""One blob on its way out of a registry: resumed where it was cut, and checked by size and digest at its end."""

from __future__ import annotations

import contextlib
import hashlib
import io
from http import HTTPStatus
from typing import TYPE_CHECKING

from shipml.errors import UntrustedInputError
from shipml.http import redacted
from shipml.oci.manifest import Descriptor
from shipml.registry.authorized_client import AuthorizedClient, Request
from shipml.registry.transport import InterruptedRequestError, LeastRate, interrupted, read_answer

if TYPE_CHECKING:
    import urllib3
    from _typeshed import WriteableBuffer

__all__ = ["BlobStream"]


class BlobStream(io.RawIOBase):
    """Reads a blob; the first request goes out when it is made."""

    def __init__(self, client: AuthorizedClient, request: Request, descriptor: Descriptor) -> None:
        super().__init__()
        self._client = client
        self._request = request
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self._position = 0
        self._response: urllib3.BaseHTTPResponse | None = None
        self._rate = LeastRate(request.url)
        self._gives_ranges = True
        self._client.transport.with_retries(self._ask)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """The next bytes.

        Raises:
            UntrustedInputError: it has ended, or not, and is not what the descriptor says.
            ShipmlError: as `AuthorizedClient.ask`.
        """
        view = memoryview(buffer).cast("B")
        piece = self._client.transport.with_retries(lambda: self._read(len(view)))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Let go of the connection, which is used again if all was read."""
        if self._response is not None and not self.closed:
            self._drop()
        super().close()

    def _read(self, limit_bytes: int) -> bytes:
        import urllib3

        if self._position == self._descriptor.size_bytes and self._response is None:
            return b""
        if self._response is None:
            self._ask()
            self._rate = LeastRate(self._request.url)
        assert self._response is not None  # noqa: S101  (made by _ask)
        left_bytes = self._descriptor.size_bytes - self._position
        try:
            piece: bytes = self._response.read1(min(limit_bytes, left_bytes))
            self._rate.came(len(piece))
        except urllib3.exceptions.HTTPError as error:
            self._drop()
            raise interrupted(error, self._request.url) from error
        self._position += len(piece)
        self._hash.update(piece)
        if self._position >= self._descriptor.size_bytes:
            self._end(self._response)
        elif not piece:
            self._drop()
            raise InterruptedRequestError(
                f"cannot {self._request.what}: the registry gives only {self._position} bytes"
            )
        return piece

    def _end(self, response: urllib3.BaseHTTPResponse) -> None:
        """Check everything before the last piece is given away: nobody has to read on to learn of damage."""
        import urllib3

        more = b""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            more = response.read(1)
        if more or self._hash.hexdigest() != self._descriptor.digest.hex:
            raise self._something_else()
        self._response = None  # read to its end: urllib3 has its connection back

    def _ask(self) -> None:
        headers = {"Range": f"bytes={self._position}-"} if self._position and self._gives_ranges else {}
        request = Request("GET", self._request.url, self._request.access, self._request.what, headers)
        response, url = self._client.open(request)
        if response.status == HTTPStatus.PARTIAL_CONTENT and response.headers.get("Content-Range", "").startswith(
            f"bytes {self._position}-"
        ):
            self._response = response
            return
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self._gives_ranges:
            self._gives_ranges = False
            read_answer(response, url)
            raise InterruptedRequestError(f"{self._client.address.registry} did not send the rest of {redacted(url)}")
        if response.status != HTTPStatus.OK:
            answer = read_answer(response, url)
            raise self._client.explain(answer, request)
        self._response = response
        if response.headers.get("Content-Length", str(self._descriptor.size_bytes)) != str(self._descriptor.size_bytes):
            raise self._something_else()
        self._skip(self._position)

    def _something_else(self) -> UntrustedInputError:
        self._drop()
        return UntrustedInputError(
            f"{self._client.address.registry} returned different content for {self._descriptor.digest}: "
            "size or digest differ",
            hint="the registry, or a proxy between, is broken: try another one",
        )

    def _skip(self, size_bytes: int) -> None:
        """Read over what has come before, where the registry does not know how to give the rest."""
        import urllib3

        assert self._response is not None  # noqa: S101  (it was just made)
        try:
            while size_bytes and (piece := self._response.read(min(size_bytes, 1 << 20))):
                size_bytes -= len(piece)
        except urllib3.exceptions.HTTPError as error:
            self._drop()
            raise interrupted(error, self._request.url) from error

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
