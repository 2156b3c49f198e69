"""The client against the CNCF registry, open and behind a password, and what it makes of refusals."""

from __future__ import annotations

import email.utils
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.errors import (
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UntrustedInputError,
    UsageError,
)
from shipml.events import Event, Notice
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import MANIFEST_MEDIA_TYPE, Descriptor
from shipml.registry.address import Address
from shipml.registry.client import RegistryClient
from shipml.registry.credentials import Credentials
from shipml.registry.errors import NotFoundError
from shipml.registry.keychain import DockerKeychain, GivenKeychain
from shipml.registry.transport import RetryPolicy, Transport
from tests.image_fixtures import MakeImage
from tests.peers.crane import CraneRegistry, start_crane_registry
from tests.peers.registry import Registry, start_registry
from tests.peers.small_server import Asked, Reply, SmallServer, serve
from tests.publish.pushing import made_image, new_name, noise_layer

QUICK = RetryPolicy(attempts=3, first_seconds=0.001, timeout_seconds=10)
HTPASSWD = "ada:$2b$04$HbhriTjKm2nmETkIk4NPaeUy/4DCCO7BwBsVkjmv91FSMX9MRTDV6\n"
PASSWORD = "marked-password"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CHUNK_BYTES = 1 << 20


@pytest.fixture(scope="module")
def locked_registry() -> Iterator[Registry]:
    with start_registry(HTPASSWD) as started:
        yield started


@pytest.fixture(scope="module")
def crane() -> Iterator[CraneRegistry]:
    with start_crane_registry() as started:
        yield started


@pytest.fixture(params=["registry", "crane"])
def client(request: pytest.FixtureRequest) -> RegistryClient:
    """Of the CNCF's registry and of go-containerregistry's in turn."""
    return _client(request.getfixturevalue(request.param).host)


def _client(host: str, credentials: Credentials | None = None, retry: RetryPolicy = QUICK) -> RegistryClient:
    keychain = GivenKeychain(host, credentials or Credentials())
    return RegistryClient(host, keychain, retry=retry, chunk_bytes=CHUNK_BYTES, environment={})


def _push(client: RegistryClient, repository: str, image: Image, *tags: str) -> None:
    for layer in image.layers:
        client.upload_blob(repository, layer)
    client.upload_blob(repository, noise_layer(0, data=image.config))
    for tag in tags or ("v1",):
        assert client.put_manifest(repository, tag, image.manifest, image.media_type) == image.digest


@pytest.mark.engine
@pytest.mark.parametrize("size_bytes", [1, CHUNK_BYTES, 3 * CHUNK_BYTES + 17])
def test_blobs(client: RegistryClient, size_bytes: int) -> None:
    """What was uploaded, in one request or in chunks, comes back."""
    repository, layer = new_name(), noise_layer(size_bytes)
    shown: list[int] = []
    assert not client.has_blob(repository, layer.digest)
    client.upload_blob(repository, layer, progress=shown.append)
    assert sum(shown) == size_bytes
    assert client.has_blob(repository, layer.digest)
    with client.open_blob(repository, layer.descriptor) as stream:
        assert Digest.of_stream(stream) == layer.digest


@pytest.mark.engine
def test_mounts(registry: Registry) -> None:
    """A blob of another repository is mounted; one that is nowhere gives a session, in which it is uploaded."""
    client = _client(registry.host)
    source, target, layer = new_name(), new_name(), noise_layer(5000)
    client.upload_blob(source, layer)
    assert client.mount_blob(target, layer.digest, source) is None
    assert client.has_blob(target, layer.digest)
    other = noise_layer(5000)
    session = client.mount_blob(target, other.digest, source)
    assert session is not None
    client.upload_blob(target, other, upload=session)
    assert client.has_blob(target, other.digest)


@pytest.mark.engine
def test_manifests(client: RegistryClient) -> None:
    """A manifest is put under tags, found, read and listed."""
    repository, image = new_name(), made_image()
    assert client.tags(repository) == []
    assert client.head_manifest(repository, "v1") is None
    _push(client, repository, image, "v2", "v1")
    found = client.manifest(repository, "v1")
    assert (found.data, found.media_type, found.digest) == (image.manifest, MANIFEST_MEDIA_TYPE, image.digest)
    assert client.manifest(repository, str(image.digest)).data == image.manifest
    assert client.head_manifest(repository, "v2") == image.digest
    assert client.tags(repository) == ["v1", "v2"]


@pytest.mark.engine
def test_deletion(registry: Registry) -> None:
    """A manifest is removed with its tags; one that is not there any more is fine."""
    client, repository, image = _client(registry.host), new_name(), made_image()
    _push(client, repository, image)
    client.delete_manifest(repository, image.digest)
    client.delete_manifest(repository, image.digest)
    assert client.head_manifest(repository, "v1") is None


@pytest.mark.engine
def test_crane_reads_what_was_pushed(crane: CraneRegistry, make_image: MakeImage) -> None:
    """Another client finds the image whole: every digest and diff id of it is right."""
    repository = new_name()
    _push(_client(crane.host), repository, make_image({"bin/a": b"a"}, {"bin/b": b"b" * 3_000_000}))
    done = crane.validate(f"{crane.host}/{repository}:v1")
    assert "PASS" in done.stdout + done.stderr


@pytest.mark.engine
def test_a_manifest_without_its_blobs(registry: Registry) -> None:
    """A manifest whose blobs are missing is refused with what the registry says."""
    client, image = _client(registry.host), made_image()
    with pytest.raises(ShipmlError, match="MANIFEST_BLOB_UNKNOWN"):
        client.put_manifest(new_name(), "v1", image.manifest, image.media_type)


@pytest.mark.engine
def test_what_is_not_there(client: RegistryClient) -> None:
    """An image that is not there is named, with the registry's words and the exit code for typing errors."""
    with pytest.raises(NotFoundError, match=r"(MANIFEST|NAME)_UNKNOWN") as caught:
        client.manifest("nobody/nothing", "v1")
    assert "nobody/nothing:v1" in caught.value.message
    assert caught.value.exit_code == UsageError.exit_code


@pytest.mark.engine
def test_a_registry_with_a_password(locked_registry: Registry) -> None:
    """With the right name and password everything works; with wrong ones, or none, the error names their source."""
    host = locked_registry.host
    client = _client(host, Credentials("a test", "ada", PASSWORD))
    client.ping()
    repository, layer = new_name(), noise_layer(2 * CHUNK_BYTES)
    client.upload_blob(repository, layer)
    assert client.has_blob(repository, layer.digest)
    for credentials, words in (
        (Credentials(), "requires a login"),
        (Credentials("a file", "ada", "wr0ng"), "ada, from a file"),
    ):
        with pytest.raises(NotAllowedError, match=words) as caught:
            _client(host, credentials).ping()
        assert caught.value.exit_code == 4
        assert host in caught.value.hint
        assert "wr0ng" not in caught.value.message


@pytest.mark.engine
@pytest.mark.slow
def test_memory_stays_flat(registry: Registry, tmp_path: Path) -> None:
    """300 MB go up and come down in less than 30 MB of memory above what the program takes anyway."""
    blob = tmp_path / "blob"
    with blob.open("wb") as stream:
        stream.truncate(300_000_000)
    program = Path(__file__).with_name("move_large_blob.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(program), registry.host, str(blob)], check=True, stdout=subprocess.PIPE, env=environment
    )
    grown = [int(word) / 1e6 for word in done.stdout.split()]
    assert max(grown) < 30, f"up and down: {grown} MB"


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serve(lambda _: Reply()) as running:
        yield running


def _refusal(server: SmallServer, reply: Reply, credentials: Credentials | None = None) -> ShipmlError:
    server.answer = lambda _: reply
    with pytest.raises(ShipmlError) as caught:
        _client(server.host, credentials).put_manifest("a/b", "v1", b"{}", MANIFEST_MEDIA_TYPE)
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, NotAllowedError), (403, NotAllowedError), (404, UsageError), (429, TryAgainError), (500, TryAgainError),
     (503, TryAgainError), (507, TryAgainError), (400, ShipmlError)],
)  # fmt: skip
def test_refusals(server: SmallServer, status: int, kind: type[ShipmlError]) -> None:
    """Each refusal says what could not be done, what the registry said, and what to do; the exit code fits."""
    body = b'{"errors":[{"code":"SOME_CODE","message":"some words"}]}'
    error = _refusal(server, Reply(status, body), Credentials("a test", "ada", PASSWORD))
    assert isinstance(error, kind)
    assert "SOME_CODE: some words" in error.message
    assert server.host in error.message
    assert error.hint or status == 400
    if status in (401, 403, 429):
        assert "those of ada from a test" in error.message


@pytest.mark.parametrize("body", [b"<html>", b'{"errors":[7]}', b'{"errors":{}}', b"[" * 5000, b'{"errors":[{}]}'])
def test_refusals_without_words(server: SmallServer, body: bytes) -> None:
    """A refusal that says nothing readable is explained all the same."""
    assert "403" not in _refusal(server, Reply(403, body)).message.replace(server.host, "")


def test_control_characters_do_not_reach_the_terminal(server: SmallServer) -> None:
    """What a registry says is shown without escape sequences, and not at length."""
    error = _refusal(server, Reply(403, b'{"errors":[{"message":"\\u001b[2Jgone' + b"x" * 5000 + b'"}]}'))
    assert "\x1b" not in error.message
    assert len(error.message) < 600


@pytest.mark.parametrize("date", [False, True])
def test_too_long_a_wait(server: SmallServer, *, date: bool) -> None:
    """A registry that asks to wait for hours, in seconds or until a date, is not waited for."""
    value = email.utils.formatdate(time.time() + 7200, usegmt=True) if date else "7200"
    error = _refusal(server, Reply(429, headers={"Retry-After": value}))
    assert "asks to wait 7" in error.message
    assert error.exit_code == 75
    assert len(server.asked) == 1


def test_a_wait_is_kept_to_by_all(server: SmallServer) -> None:
    """After a 429 no thread asks before the time that the registry named."""
    arrivals: list[float] = []
    refused = threading.Event()

    def answer(_: Asked) -> Reply:
        arrivals.append(time.monotonic())
        return Reply(429, headers={"Retry-After": "1"}) if len(arrivals) == 1 else Reply()

    server.answer = answer
    client = _client(server.host)
    thread = threading.Thread(target=client.ping)
    thread.start()
    while not client.throttled:
        refused.wait(0.001)
    client.ping()
    thread.join()
    assert len(arrivals) == 3
    assert arrivals[1] - arrivals[0] >= 0.99


def test_long_waits_are_announced(server: SmallServer) -> None:
    """The user hears of it when the registry lets us wait for long."""

    class Stopped(Exception):  # noqa: N818  (it stops the test, which would wait else)
        pass

    def emit(event: Event) -> None:
        assert isinstance(event, Notice)
        assert "asks to wait 6 s" in event.message
        raise Stopped

    server.answer = lambda _: Reply(429, headers={"Retry-After": "6"})
    client = RegistryClient(server.host, DockerKeychain(environment={}), emit=emit, retry=QUICK, environment={})
    with pytest.raises(Stopped):
        client.ping()


def test_short_failures_pass(server: SmallServer) -> None:
    """Statuses that pass, answers that are cut and connections that are closed are tried again."""
    replies = [Reply(503), Reply(200, b"{}", cut_after_bytes=1), Reply(200, b"{}")]
    server.answer = lambda _: replies[min(len(server.asked), 3) - 1]
    assert _client(server.host).manifest("a/b", "v1").data == b"{}"


def test_another_digest(server: SmallServer) -> None:
    """A manifest that is not what its digest or the registry's own header says is refused, read or written."""
    other = str(Digest.of(b"other"))
    client = _client(server.host)
    server.answer = lambda _: Reply(200, b"{}", {"Docker-Content-Digest": other})
    with pytest.raises(UntrustedInputError):
        client.manifest("a/b", "v1")
    with pytest.raises(UntrustedInputError):
        client.put_manifest("a/b", "v1", b"{}", MANIFEST_MEDIA_TYPE)
    server.answer = lambda _: Reply(200, b"{}")
    with pytest.raises(UntrustedInputError):
        client.manifest("a/b", other)
    server.answer = lambda _: Reply(200, b"{}", {"Docker-Content-Digest": "sha512:" + "0" * 128})
    assert client.manifest("a/b", "v1").digest == Digest.of(b"{}")


def test_too_large_a_manifest(server: SmallServer) -> None:
    """No more than 4 MiB are taken for a manifest."""
    server.answer = lambda _: Reply(200, b" " * ((4 << 20) + 1))
    with pytest.raises(UntrustedInputError, match="more than"):
        _client(server.host).manifest("a/b", "v1")


def test_a_head_without_digest(server: SmallServer) -> None:
    """Where HEAD does not say the digest, the manifest is read for it."""
    server.answer = lambda _: Reply(200, b"{}")
    assert _client(server.host).head_manifest("a/b", "v1") == Digest.of(b"{}")


def test_tags_over_several_pages(server: SmallServer) -> None:
    """Links to further pages are followed, within the registry's rules."""

    def answer(asked: Asked) -> Reply:
        if "last=b" in asked.path:
            return Reply(body=b'{"name":"a/b","tags":["c", 7]}')
        return Reply(body=b'{"tags":["b","a"]}', headers={"Link": '</v2/a/b/tags/list?last=b&n=2>; rel="next"'})

    server.answer = answer
    assert _client(server.host).tags("a/b") == ["a", "b", "c"]


def test_no_registry_there() -> None:
    """Where nobody listens, the error says where, and that a later try may help."""
    with pytest.raises(TryAgainError, match=r"127\.0\.0\.1:1$"):
        _client("127.0.0.1:1").ping()


def test_logins_in_an_address_are_not_told() -> None:
    """A registry may send us on to an address with a login in it: who reads of its failure sees the host alone."""
    transport = Transport(Address.of("127.0.0.1:1"), QUICK)
    with pytest.raises(TryAgainError, match=r"127\.0\.0\.1:1$") as caught:
        transport.send("GET", f"http://ann:{PASSWORD}@127.0.0.1:1/blob", {})
    assert PASSWORD not in f"{caught.value.message} {caught.value.hint}"


def test_a_web_server_that_is_no_registry(server: SmallServer) -> None:
    """Who logs in at a host without a registry is told to look at the host: there is no name or tag to check yet."""
    server.answer = lambda _: Reply(404, b"<h1>not here</h1>")
    with pytest.raises(NotFoundError, match="answered 404") as caught:
        _client(server.host).ping()
    assert "how the host is spelled" in caught.value.hint


def test_plain_http_where_tls_is_spoken(server: SmallServer) -> None:
    """A registry that speaks TLS gives an error with the way to allow that."""
    host = f"{server.host.replace('127.0.0.1', '0.0.0.0')}"  # of this machine, but not by a loopback name
    with pytest.raises(UnavailableError, match="TLS") as caught:
        _client(host).ping()
    assert f"SHIPML_INSECURE_REGISTRIES={host}" in caught.value.hint
    allowed = {"SHIPML_INSECURE_REGISTRIES": f"other.example.org, {host}"}
    RegistryClient(host, DockerKeychain(environment={}), retry=QUICK, environment=allowed).ping()


def test_expected_pushes_need_one_token(server: SmallServer) -> None:
    """A client that is told of a push looks and pushes with the same token."""

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return Reply(body=b'{"token":"t"}')
        if "authorization" not in asked.headers:
            return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})
        return Reply(404 if asked.method == "HEAD" else 201, headers={"Docker-Content-Digest": str(Digest.of(b"{}"))})

    server.answer = answer
    client = _client(server.host)
    client.expect_push("a/b")
    client.has_blob("a/b", Digest.of(b""))
    client.head_manifest("a/b", "v1")
    client.put_manifest("a/b", "v1", b"{}", MANIFEST_MEDIA_TYPE)
    assert len([asked for asked in server.asked if asked.path.startswith("/token")]) == 1


def test_proxies_are_for_others(server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry on this machine is asked directly, whatever proxy the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    _client(server.host).ping()
    assert len(server.asked) == 1


def test_descriptors_keep_their_urls() -> None:
    """Where else a layer is survives reading and writing its descriptor."""
    document = {"mediaType": LAYER, "digest": str(Digest.of(b"")), "size": 0, "urls": ["https://example.org/layer"]}
    assert Descriptor.from_json(document).to_json() == document


def test_a_registry_that_is_not_there_is_named_plainly() -> None:
    """No words of libraries: the host, and what the system says."""
    with pytest.raises(TryAgainError) as caught:
        _client("localhost:1").ping()
    assert caught.value.message.endswith("localhost:1")
