"""Uploads into registries that are odd, and over connections that fail."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import pytest

from shipml.errors import (
    ShipmlError,
    StoreError,
    TryAgainError,
    UntrustedInputError,
)
from shipml.oci.digest import Digest
from shipml.registry.client import RegistryClient
from shipml.registry.errors import RefusedError
from shipml.registry.keychain import DockerKeychain
from shipml.registry.transport import RetryPolicy
from tests.peers.odd_registry import OddRegistry
from tests.peers.small_server import Asked, Reply, SmallServer, serve

QUICK = RetryPolicy(attempts=4, first_seconds=0.001, timeout_seconds=5)
CHUNK_BYTES = 1 << 20
DATA = os.urandom(3 * CHUNK_BYTES + 4321)


class _Forward(io.RawIOBase):
    """A stream that cannot go back, as one that comes from elsewhere."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(size)


@dataclass
class Thing:
    """What is uploaded, and how often it was opened."""

    data: bytes = DATA
    seekable: bool = True
    damaged: bytes = b""
    """What is read in place of the data."""
    opened: int = 0
    shown: list[int] = field(default_factory=list)

    @property
    def digest(self) -> Digest:
        return Digest.of(self.data)

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def open(self) -> BinaryIO:
        self.opened += 1
        data = self.damaged or self.data
        return io.BytesIO(data) if self.seekable else cast("BinaryIO", _Forward(data))


@pytest.fixture
def odd() -> OddRegistry:
    return OddRegistry()


@pytest.fixture
def server(odd: OddRegistry) -> Iterator[SmallServer]:
    with serve(odd) as running:
        yield running


def _client(server: SmallServer) -> RegistryClient:
    return RegistryClient(
        server.host, DockerKeychain(environment={}), retry=QUICK, chunk_bytes=CHUNK_BYTES, environment={}
    )


def _upload(server: SmallServer, thing: Thing) -> None:
    _client(server).upload_blob("a/b", thing, progress=thing.shown.append)


def _check(odd: OddRegistry, thing: Thing) -> None:
    """It has arrived whole, no session is left, and what was shown as progress adds up."""
    assert odd.blobs == {str(thing.digest): thing.data}
    assert odd.sessions == {}
    assert sum(thing.shown) == thing.size_bytes


def test_small_blobs_take_one_request(odd: OddRegistry, server: SmallServer) -> None:
    """What fits into one chunk is sent with one PUT; one without any bytes as well."""
    for thing in (Thing(b"small"), Thing(b"")):
        odd.blobs.clear()
        _upload(server, thing)
        _check(odd, thing)
    assert [asked.method for asked in server.asked] == ["POST", "PUT", "POST", "PUT"]


def test_chunks(odd: OddRegistry, server: SmallServer) -> None:
    """What is larger goes in chunks, each to where the last answer pointed, relative and with its query."""
    thing = Thing()
    _upload(server, thing)
    _check(odd, thing)
    ranges = [asked.headers["content-range"] for asked in server.seen("PATCH")]
    assert ranges[0] == f"0-{CHUNK_BYTES - 1}"
    assert len(ranges) == 4


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("oddity", ["keeps_half", "forgets", "loses_answers", "garbles"])
@pytest.mark.parametrize("size_bytes", [len(DATA), 1000])
def test_oddities(*, odd: OddRegistry, server: SmallServer, oddity: str, seekable: bool, size_bytes: int) -> None:
    """Chunks taken by half, sessions that vanish, answers that are lost, bytes damaged on the way: it arrives."""
    setattr(odd, oddity, 1)
    thing = Thing(DATA[:size_bytes], seekable=seekable)
    _upload(server, thing)
    _check(odd, thing)
    if oddity == "loses_answers":
        assert len(server.seen("PUT")) == 1


def test_a_registry_that_takes_nothing(odd: OddRegistry, server: SmallServer) -> None:
    """A registry that says yes to every chunk and keeps none is given up."""
    odd.takes_nothing = True
    with pytest.raises(TryAgainError, match="says that it has 0 bytes"):
        _upload(server, Thing())
    assert len(server.seen("PATCH")) == QUICK.attempts


def test_a_cut_is_resumed(odd: OddRegistry, server: SmallServer) -> None:
    """After a cut the registry is asked what it has, and the upload goes on from there: nothing goes twice."""
    fine, cuts = server.answer, [False, True, True]

    def answer(asked: Asked) -> Reply:
        if asked.method == "PATCH" and cuts and cuts.pop(0):
            return Reply(202, b"cut", cut_after_bytes=1)
        return fine(asked)

    server.answer = answer
    thing = Thing()
    _upload(server, thing)
    _check(odd, thing)
    assert len(server.seen("GET")) == 2
    assert len(server.seen("POST")) == 1
    assert thing.opened == 1


def test_the_least_size_of_chunks(odd: OddRegistry, server: SmallServer) -> None:
    """OCI-Chunk-Min-Length is kept to."""
    odd.chunk_minimum_bytes = 2 * CHUNK_BYTES
    thing = Thing()
    _upload(server, thing)
    _check(odd, thing)
    assert [len(asked.body) for asked in server.seen("PATCH")] == [2 * CHUNK_BYTES, len(DATA) - 2 * CHUNK_BYTES]


def test_a_registry_without_chunks(odd: OddRegistry, server: SmallServer) -> None:
    """Where chunks are refused, all is sent in one request."""
    odd.takes_chunks = False
    thing = Thing()
    _upload(server, thing)
    _check(odd, thing)


def test_a_proxy_that_limits_requests(odd: OddRegistry, server: SmallServer) -> None:
    """Requests become smaller where 413 is answered, down to what every proxy takes; then the error says so."""
    odd.request_limit_bytes = CHUNK_BYTES
    thing = Thing()
    client = RegistryClient(server.host, DockerKeychain(environment={}), retry=QUICK, environment={})
    client.upload_blob("a/b", thing, progress=thing.shown.append)
    _check(odd, thing)
    odd.request_limit_bytes = 1000
    with pytest.raises(RefusedError, match="at once") as caught:
        _upload(server, thing)
    assert "client_max_body_size" in caught.value.hint
    assert odd.sessions == {}


@pytest.mark.parametrize("data", [DATA, DATA[:5000]], ids=["chunks", "one request"])
@pytest.mark.parametrize("damage", ["short", "at the end", "at the start"])
def test_damage_at_home(odd: OddRegistry, server: SmallServer, data: bytes, damage: str) -> None:
    """Bytes that are not those of the digest never become a blob; the session is cancelled."""
    flipped = {"at the end": data[:-1] + bytes([data[-1] ^ 1]), "at the start": bytes([data[0] ^ 1]) + data[1:]}
    thing = Thing(data, damaged=flipped.get(damage, data[:-1]))
    with pytest.raises(UntrustedInputError, match="damaged"):
        _upload(server, thing)
    assert odd.blobs == {}
    assert odd.sessions == {}


def test_a_file_that_cannot_be_read(server: SmallServer) -> None:
    """Trouble with our own disk is not taken for the network's."""

    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readall(self) -> bytes:
            raise OSError(5, "Input/output error")

        def read(self, size: int = -1) -> bytes:
            del size
            return self.readall()

    thing = Thing(b"data")
    thing.open = lambda: cast("BinaryIO", Broken())  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="Input/output error"):
        _upload(server, thing)


def test_what_always_fails_ends(odd: OddRegistry, server: SmallServer) -> None:
    """A registry that damages every upload is given up after some attempts, with what it said."""
    odd.garbles = 100
    with pytest.raises(TryAgainError, match="DIGEST_INVALID"):
        _upload(server, Thing(b"data"))
    assert len(server.seen("PUT")) == QUICK.attempts


@pytest.mark.parametrize("location", ["http://192.0.2.9/upload", "https://[bad", "gopher://127.0.0.1/"])
def test_sessions_elsewhere(server: SmallServer, location: str) -> None:
    """A session at an address that must not be asked is refused before a byte is sent."""
    server.answer = lambda _: Reply(202, headers={"Location": location})
    with pytest.raises(UntrustedInputError):
        _upload(server, Thing(b"data"))
    assert [asked.method for asked in server.asked] == ["POST"]


def test_mounts(odd: OddRegistry, server: SmallServer) -> None:
    """A mount that is answered with a session, or with any error, becomes an upload."""
    thing, fine = Thing(b"data"), server.answer
    for status in (202, 400, 401, 403, 404, 500):
        odd.blobs.clear()

        def answer(asked: Asked, status: int = status) -> Reply:
            return Reply(status) if "mount=" in asked.path and status != 202 else fine(asked)

        server.answer = answer
        client = _client(server)
        session = client.mount_blob("a/b", thing.digest, "c/d")
        assert session is not None
        client.upload_blob("a/b", thing, upload=session)
        assert list(odd.blobs) == [str(thing.digest)]
    server.answer = lambda _: Reply(201)
    assert _client(server).mount_blob("a/b", thing.digest, "c/d") is None
    assert "from=c%2Fd" in server.asked[-1].path


def test_stopping_cancels_the_session(odd: OddRegistry, server: SmallServer) -> None:
    """Whoever listens to the progress may stop the upload by an error of ours: no session is left."""

    def stop(_: int) -> None:
        raise ShipmlError("enough")

    with pytest.raises(ShipmlError, match="enough"):
        _client(server).upload_blob("a/b", Thing(), progress=stop)
    assert odd.sessions == {}
    assert odd.blobs == {}
