"""Downloads of blobs over connections that fail, from registries that give something else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from shipml.errors import ShipmlError, TryAgainError, UntrustedInputError
from shipml.oci.digest import Digest
from shipml.oci.manifest import Descriptor
from shipml.registry.client import RegistryClient
from shipml.registry.errors import NotFoundError
from shipml.registry.keychain import DockerKeychain
from shipml.registry.transport import RetryPolicy
from tests.peers.small_server import Asked, Reply, SmallServer, serve

QUICK = RetryPolicy(attempts=4, first_seconds=0.001, timeout_seconds=5)
DATA = os.urandom(2_500_000)
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass
class Storage:
    """Gives DATA, cut after each of `cuts` bytes in turn."""

    cuts: tuple[int, ...] = ()
    ranges: str = "fine"
    """`fine`, `ignored` or `refused`."""

    def __call__(self, asked: Asked) -> Reply:
        start = int(asked.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        cut, self.cuts = (self.cuts[0], self.cuts[1:]) if self.cuts else (None, ())
        if start and self.ranges == "refused":
            return Reply(416)
        if start and self.ranges == "fine":
            headers = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"}
            return Reply(206, DATA[start:], headers, cut_after_bytes=cut)
        return Reply(200, DATA, cut_after_bytes=cut)


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serve(Storage()) as running:
        yield running


def _descriptor(data: bytes = DATA, urls: tuple[str, ...] = ()) -> Descriptor:
    return Descriptor(LAYER, Digest.of(data), len(data), urls=urls)


def _read(server: SmallServer, descriptor: Descriptor | None = None) -> bytes:
    client = RegistryClient(server.host, DockerKeychain(environment={}), retry=QUICK, environment={})
    with client.open_blob("a/b", descriptor or _descriptor()) as stream:
        return stream.read()


def test_one_request(server: SmallServer) -> None:
    """A blob is one request, an empty one too."""
    assert _read(server) == DATA
    server.answer = lambda _: Reply()
    assert _read(server, _descriptor(b"")) == b""
    assert len(server.asked) == 2


@pytest.mark.parametrize("ranges", ["fine", "ignored", "refused"])
def test_cuts(server: SmallServer, ranges: str) -> None:
    """After a cut only the rest is asked for; where the registry gives no rest, all again, and the start is skipped."""
    server.answer = Storage((1_000_000, 700_000 if ranges == "fine" else 1_700_000), ranges)
    assert _read(server) == DATA
    assert server.asked[1].headers["range"] == "bytes=1000000-"


def test_cuts_without_advance(server: SmallServer) -> None:
    """Attempts are counted while nothing comes, and anew after something has come."""
    server.answer = Storage((500_000, 0, 0, 1000, 0, 0))
    assert _read(server) == DATA
    server.answer = Storage((500_000, *(0 for _ in range(9))))
    with pytest.raises(TryAgainError) as caught:
        _read(server)
    assert caught.value.exit_code == 75


@pytest.mark.parametrize(
    "given", [DATA[:-1] + bytes([DATA[-1] ^ 1]), DATA + b"!", DATA[:-1]], ids=["another", "more", "less"]
)
@pytest.mark.parametrize("honest", [True, False], ids=["with length", "without"])
def test_something_else(server: SmallServer, given: bytes, *, honest: bool) -> None:
    """Bytes of another size or digest are an error before the last of them is given away."""
    body = given if honest else f"{len(given):x}\r\n".encode() + given + b"\r\n0\r\n\r\n"
    headers = {} if honest else {"Transfer-Encoding": "chunked"}
    without_length = Reply(200, body, headers)

    server.answer = lambda asked: Reply(416) if "range" in asked.headers else without_length
    expected = TryAgainError if not honest and len(given) < len(DATA) else UntrustedInputError
    with pytest.raises(expected):
        _read(server)


def test_no_such_blob(server: SmallServer) -> None:
    """A blob that is not there is named when it is opened."""
    server.answer = lambda _: Reply(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}')
    with pytest.raises(NotFoundError, match="BLOB_UNKNOWN") as caught:
        _read(server)
    assert "a/b" in caught.value.message


def test_foreign_layers(server: SmallServer) -> None:
    """A layer that the registry does not have comes from its URLs; the bytes are checked all the same."""
    with serve(Storage()) as elsewhere:
        server.answer = lambda _: Reply(404)
        assert _read(server, _descriptor(urls=(f"{elsewhere.url}/gone", f"{elsewhere.url}/layer"))) == DATA
        elsewhere.answer = lambda asked: Reply(404) if asked.path == "/gone" else Reply(200, DATA)
        assert _read(server, _descriptor(urls=(f"{elsewhere.url}/gone", f"{elsewhere.url}/layer"))) == DATA
        elsewhere.answer = lambda _: Reply(404)
        with pytest.raises(NotFoundError):
            _read(server, _descriptor(urls=(f"{elsewhere.url}/gone",)))
    with pytest.raises(UntrustedInputError, match="not encrypted"):
        _read(server, _descriptor(urls=("http://192.0.2.8/layer",)))


@pytest.mark.parametrize("location", ["http://192.0.2.9/blob", "file:///etc/passwd", "https://[bad", "/v2/a/b/loop"])
def test_redirects_that_are_not_followed(server: SmallServer, location: str) -> None:
    """A redirect to another scheme, to plain HTTP elsewhere, or in a circle ends in an error."""
    server.answer = lambda _: Reply(307, headers={"Location": location})
    with pytest.raises(UntrustedInputError):
        _read(server)
    assert len(server.asked) <= 6


def test_a_stall(server: SmallServer) -> None:
    """A registry that falls silent is asked again."""
    released, fine = threading.Event(), Storage()

    def answer(asked: Asked) -> Reply:
        if len(server.asked) == 1:
            released.wait(20)
        return fine(asked)

    server.answer = answer
    client = RegistryClient(
        server.host,
        DockerKeychain(environment={}),
        retry=RetryPolicy(first_seconds=0.001, timeout_seconds=0.2),
        environment={},
    )
    with client.open_blob("a/b", _descriptor()) as stream:
        assert stream.read() == DATA
    released.set()


def test_connections_serve_again(server: SmallServer) -> None:
    """A blob that was read to its end leaves its connection to the next request."""
    seen = set()

    def answer(asked: Asked) -> Reply:
        seen.add(asked.client_port)
        return Reply(200, DATA)

    server.answer = answer
    client = RegistryClient(server.host, DockerKeychain(environment={}), retry=QUICK, environment={})
    for _ in range(3):
        with client.open_blob("a/b", _descriptor()) as stream:
            while stream.read(100_000):
                pass
        assert client.has_blob("a/b", Digest.of(DATA))
    assert len(seen) == 1


def test_errors_are_ours(server: SmallServer) -> None:
    """Whatever the server sends, the error is one of ours."""
    for status in (204, 206, 299, 302, 400, 405, 418, 451, 505):
        server.answer = lambda _, status=status: Reply(status)  # type: ignore[misc]
        with pytest.raises(ShipmlError):
            _read(server)
