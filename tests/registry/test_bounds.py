"""What a hostile or broken registry answers ends soon, and in an error of ours: numbers, JSON, slowness, echoes."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.errors import ShipmlError, TryAgainError, UntrustedInputError
from shipml.http.connections import bounded_pools
from shipml.http.retry import retry_after_seconds
from shipml.registry.address import Address
from shipml.registry.authorized_client import AuthorizedClient
from shipml.registry.client import RegistryClient
from shipml.registry.credentials import Credentials
from shipml.registry.echoes import holds_secret, sent_secrets
from shipml.registry.errors import Response
from shipml.registry.keychain import DockerKeychain, GivenKeychain
from shipml.registry.token_service import TokenService
from shipml.registry.tokens import Tokens
from shipml.registry.transport import LeastRate, NoSuchHostError, RetryPolicy, Transport
from shipml.registry.upload import session_of

ONCE = RetryPolicy(attempts=1, timeout_seconds=0.5)
NUMBERS = st.one_of(st.text("0123456789", min_size=1, max_size=400), st.just("9" * 5000), st.text(max_size=20))


def client_of(host: str) -> AuthorizedClient:
    """Never asked anything here."""
    address = Address.of(host, {})
    transport = Transport(address, ONCE)
    return AuthorizedClient(address, transport, Tokens(address, DockerKeychain(environment={}), transport))


CLIENT = client_of("127.0.0.1:1")


@given(NUMBERS, NUMBERS)
def test_numbers_in_headers(minimum: str, last: str) -> None:
    """Whatever a registry says about chunks and ranges is a session, or an error of ours."""
    headers = {"Location": "/v2/a/1", "OCI-Chunk-Min-Length": minimum, "Range": f"0-{last}"}
    session = session_of(Response(202, headers, b"", f"{CLIENT.address.url}/v2/"), CLIENT)
    assert session.chunk_minimum_bytes >= 0
    assert session.received_bytes >= 0
    assert retry_after_seconds({"Retry-After": minimum}) >= 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.one_of(
    st.binary(max_size=50),
    st.builds(lambda lifetime: json.dumps({"token": "t", "expires_in": lifetime}).encode(), JSON),
    st.sampled_from(
        [
            b"[" * 60000,
            b'{"a":' * 10000,
            b'{"token": "t", "expires_in": ' + b"9" * 401 + b"}",
            b'{"token": "t", "expires_in": ' + b"9" * 5000 + b"}",
            b'{"token": "t", "expires_in": Infinity}',
            b'{"token": "t", "expires_in": NaN}',
        ]
    ),
)


@given(BODIES)
def test_answers_of_token_services(body: bytes) -> None:
    """Each is a token, or an error of ours."""
    service = TokenService(CLIENT.address, CLIENT.transport)
    try:
        token = service._read(Response(200, {}, body, CLIENT.address.url), 0.0, "")
    except UntrustedInputError:
        return
    assert token.renew_at_seconds == token.renew_at_seconds


@given(st.text("abcXYZ019+/=-_ü:", min_size=6, max_size=40), st.text(max_size=9), st.text(max_size=9))
def test_echoes_are_found(secret: str, before: str, after: str) -> None:
    """A secret is found plain and in base64, whatever stands beside it."""
    text = f"{before}{secret}{after}"
    assert holds_secret(text, [secret])
    assert holds_secret(base64.b64encode(text.encode()).decode(), [secret])
    assert holds_secret(text.encode().hex().upper(), [secret])
    basic = "Basic " + base64.b64encode(f"ann:{secret}".encode()).decode()
    assert holds_secret(f"you sent {basic}", sent_secrets({"Authorization": basic}))
    assert not holds_secret("you sent nothing", [secret])


@contextmanager
def dripping(head: bytes, drop: bytes) -> Iterator[str]:
    """A server that sends `head`, then `drop` again and again, slowly."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            connection.recv(4096)
            try:
                connection.sendall(head)
                while not over.wait(0.05):
                    connection.sendall(drop)
            except OSError:
                return

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.close()


def test_a_head_that_never_ends() -> None:
    """A registry that sends one header after the other is left in time."""
    began_at_seconds = time.monotonic()
    with dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n") as host, pytest.raises(TryAgainError):
        RegistryClient(host, DockerKeychain(environment={}), retry=ONCE, environment={}).ping()
    assert time.monotonic() - began_at_seconds < 5


def test_a_body_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of a byte at a time ends, too."""
    monkeypatch.setattr(LeastRate.__init__, "__kwdefaults__", {"grace_seconds": 0.5, "bytes_per_second": 1000})
    began_at_seconds = time.monotonic()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"
    with dripping(head, b"x") as host, pytest.raises(TryAgainError):
        RegistryClient(host, DockerKeychain(environment={}), retry=RetryPolicy(), environment={}).ping()
    assert time.monotonic() - began_at_seconds < 5


def test_what_is_not_there_fails_at_once() -> None:
    """Neither a port that nothing listens on here nor a name that does not exist is asked again."""
    began_at_seconds = time.monotonic()
    for host, kind in (("127.0.0.1:1", TryAgainError), ("no-such-host.invalid", NoSuchHostError)):
        with pytest.raises(kind) as caught:
            RegistryClient(host, DockerKeychain(environment={}), environment={}).ping()
        assert caught.value.exit_code == 75
    assert time.monotonic() - began_at_seconds < 10


def test_a_name_that_means_another_address_later() -> None:
    """The address that is connected to counts, not the one that was looked up before (DNS rebinding)."""
    address = Address.of("r.example.org", {})
    with pytest.raises(UntrustedInputError):
        address.check_peer("cdn.example.org", "10.0.0.1")
    address.check_peer("r.example.org", "10.0.0.1")  # the user's own registry may be inside
    address.check_peer("cdn.example.org", "8.8.8.8")
    listener = socket.create_server(("127.0.0.1", 0))
    pool = bounded_pools(1.0, address.check_peer)["http"]("127.0.0.1", listener.getsockname()[1])
    with listener, pytest.raises(ShipmlError):
        pool.request("GET", "/", retries=False)


def test_an_echo_is_not_shown() -> None:
    """A registry that repeats the password in an encoding is not quoted."""
    secret = "MARKREGPW"
    sent = base64.b64encode(f"bob:{secret}".encode()).decode()
    body = json.dumps({"errors": [{"code": "DENIED", "message": f"you sent Basic {sent}"}]}).encode()
    given_ = Credentials("a test", "bob", secret)
    tokens = Tokens(CLIENT.address, GivenKeychain("127.0.0.1:1", given_), CLIENT.transport)
    client = AuthorizedClient(CLIENT.address, CLIENT.transport, tokens)
    from shipml.registry.authorized_client import Request
    from shipml.registry.scopes import Access

    request = Request("GET", CLIENT.address.url, Access.pull("a/b"), "pull a/b")
    wrong = client.explain(Response(403, {}, body, CLIENT.address.url), request)
    assert sent not in wrong.message


def test_a_registry_by_its_ipv6_address() -> None:
    """`[::1]:PORT` is a loopback registry, spoken to without TLS."""
    address = Address.of("[::1]:5000", {})
    assert (address.scheme, address.is_loopback) == ("http", True)
