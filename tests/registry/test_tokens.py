"""Authorization, against real servers on loopback that demand it in every way the specifications know."""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from shipml.errors import NotAllowedError, TryAgainError, UntrustedInputError
from shipml.oci.digest import Digest
from shipml.oci.manifest import Descriptor
from shipml.oci.reference import Reference
from shipml.registry.address import Address
from shipml.registry.client import RegistryClient
from shipml.registry.credentials import Credentials
from shipml.registry.transport import RetryPolicy
from tests.peers.small_server import Asked, Reply, SmallServer, serve

QUICK = RetryPolicy(attempts=3, first_seconds=0.01, timeout_seconds=5)
DIGEST = Digest.of(b"blob")
PASSWORD = Credentials("a test", "ada", "marked-password")
IDENTITY = Credentials("a test", identity_token="marked-identity")
EXPIRED = "token-of-yesterday"


@dataclass
class Keys:
    """A keychain with credentials for the first, second, … time; none after that."""

    found: list[Credentials] = field(default_factory=lambda: [Credentials()])
    renewals: int = 0

    def credentials(self, reference: Reference) -> Credentials:
        del reference
        return self.found[0]

    def renew(self, reference: Reference, refused: Credentials) -> Credentials | None:
        del reference
        assert refused == self.found.pop(0)
        self.renewals += 1
        self.found.append(Credentials())
        return self.found[0]


class Guarded:
    """A registry that wants a token of its own service, both on one server; every test may change parts of it."""

    def __init__(self) -> None:
        self.valid = {"token-1"}
        self.mint: Callable[[Asked], Reply] = lambda _: _token("token-1")
        self.realm = ""
        self.scope = ""

    def __call__(self, asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return self.mint(asked)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") in self.valid:
            return Reply(200 if asked.method != "POST" else 202, headers={"Location": "/v2/u/1"})
        scope = f',scope="{self.scope}"' if self.scope else ""
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{self.realm}",service="tests"{scope}'})


@pytest.fixture
def guarded() -> Iterator[tuple[Guarded, SmallServer]]:
    registry = Guarded()
    with serve(registry) as server:
        registry.realm = f"{server.url}/token"
        yield registry, server


def _token(value: str, **more: object) -> Reply:
    return Reply(body=json.dumps({"token": value, **more}).encode())


def _client(server: SmallServer, keys: Keys | None = None) -> RegistryClient:
    return RegistryClient(server.host, keys or Keys(), retry=QUICK, environment={})


def _asked_for_tokens(server: SmallServer) -> list[Asked]:
    return [asked for asked in server.asked if asked.path.startswith("/token")]


def _query(asked: Asked) -> dict[str, list[str]]:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(asked.path).query)


def test_nothing_is_sent_before_it_is_demanded(guarded: tuple[Guarded, SmallServer]) -> None:
    """The first request carries no credentials; those that follow carry one token, which is asked for once."""
    _, server = guarded
    client = _client(server, Keys([PASSWORD]))
    assert client.has_blob("a/b", DIGEST)
    assert client.has_blob("a/b", DIGEST)
    assert "authorization" not in server.asked[0].headers
    (asked,) = _asked_for_tokens(server)
    assert _query(asked)["scope"] == ["repository:a/b:pull"]
    assert _query(asked)["service"] == ["tests"]
    assert _query(asked)["account"] == ["ada"]
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"ada:marked-password").decode()


def test_a_token_for_everybody(guarded: tuple[Guarded, SmallServer]) -> None:
    """Without credentials a token is asked for all the same, as public images need it."""
    _, server = guarded
    assert _client(server).has_blob("a/b", DIGEST)
    assert "authorization" not in _asked_for_tokens(server)[0].headers


def test_identity_tokens_are_posted(guarded: tuple[Guarded, SmallServer]) -> None:
    """An identity token goes into a form (spec/auth/oauth), never into a URL; the scopes are one field."""
    registry, server = guarded
    registry.mint = lambda _: Reply(body=b'{"access_token": "token-1"}')
    _client(server, Keys([IDENTITY])).mount_blob("a/b", DIGEST, "c/d")
    (asked,) = _asked_for_tokens(server)
    form = urllib.parse.parse_qs(asked.body.decode())
    assert asked.method == "POST"
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["marked-identity"]
    assert form["scope"] == ["repository:a/b:pull,push repository:c/d:pull"]
    assert "marked-identity" not in "".join(asked.path for asked in server.asked)


@pytest.mark.parametrize(("credentials", "missing"), [(IDENTITY, "POST"), (PASSWORD, "GET")])
def test_the_other_flow(guarded: tuple[Guarded, SmallServer], credentials: Credentials, missing: str) -> None:
    """A service that knows only one of the two flows is asked by that one."""
    registry, server = guarded
    registry.mint = lambda asked: Reply(404) if asked.method == missing else _token("token-1")
    assert _client(server, Keys([credentials])).has_blob("a/b", DIGEST)
    assert len(_asked_for_tokens(server)) == 2


def test_a_mount_asks_for_both_repositories(guarded: tuple[Guarded, SmallServer]) -> None:
    """The token of a mount allows pulling from the source, as scopes of their own; the target's comes first."""
    _, server = guarded
    _client(server).mount_blob("a/b", DIGEST, "c/d")
    assert _query(_asked_for_tokens(server)[0])["scope"] == ["repository:a/b:pull,push", "repository:c/d:pull"]


def test_what_is_newly_demanded_comes_first(guarded: tuple[Guarded, SmallServer]) -> None:
    """A scope that the registry adds is asked for before ours: some services read only one."""
    registry, server = guarded
    registry.scope = "repository:z:pull"
    _client(server).has_blob("a/b", DIGEST)
    assert _query(_asked_for_tokens(server)[0])["scope"] == ["repository:z:pull", "repository:a/b:pull"]


def test_a_token_that_dies_in_the_middle(guarded: tuple[Guarded, SmallServer]) -> None:
    """A token that the registry suddenly refuses is replaced, and the request goes on."""
    registry, server = guarded
    client = _client(server)
    client.has_blob("a/b", DIGEST)
    registry.valid, registry.mint = {"token-2"}, lambda _: _token("token-2")
    assert client.has_blob("a/b", DIGEST)
    assert len(_asked_for_tokens(server)) == 2


def test_tokens_are_renewed_before_they_expire(guarded: tuple[Guarded, SmallServer]) -> None:
    """A token that says that it has expired is not used again."""
    registry, server = guarded
    registry.mint = lambda _: _token("token-1", expires_in=0.001)
    client = _client(server)
    client.has_blob("a/b", DIGEST)
    client.has_blob("a/b", DIGEST)
    assert len(_asked_for_tokens(server)) == 2


def _in_threads(count: int, do: Callable[[], object]) -> None:
    threads = [threading.Thread(target=do) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_share_a_token(guarded: tuple[Guarded, SmallServer]) -> None:
    """Threads that need the same token ask for it once, and wait for it; others do not wait."""
    registry, server = guarded
    client = _client(server)
    client.has_blob("x/y", DIGEST)
    first_came, other_came = threading.Event(), threading.Event()

    def mint(asked: Asked) -> Reply:
        if "c/d" in urllib.parse.unquote(asked.path):
            other_came.set()
        else:
            first_came.set()
            other_came.wait(5)
        return _token("token-1") if other_came.is_set() else Reply(400)

    registry.mint = mint
    server.asked.clear()
    names = ["a/b", "a/b", "a/b", "c/d"]

    def look() -> None:
        name = names.pop(0)
        assert name == "a/b" or first_came.wait(20)
        client.has_blob(name, DIGEST)

    _in_threads(4, look)
    assert sorted(_query(asked)["scope"] for asked in _asked_for_tokens(server)) == [
        ["repository:a/b:pull"],
        ["repository:c/d:pull"],
    ]


def test_threads_whose_token_dies(guarded: tuple[Guarded, SmallServer]) -> None:
    """When four requests under way are refused with the same token, it is replaced once."""
    registry, server = guarded
    client = _client(server)
    client.has_blob("a/b", DIGEST)
    all_came = threading.Barrier(4)

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") == "Bearer token-1":
            all_came.wait(20)
        return registry(asked)

    registry.valid, registry.mint, server.answer = {"token-2"}, lambda _: _token("token-2"), answer
    server.asked.clear()
    _in_threads(4, lambda: client.has_blob("a/b", DIGEST))
    assert len(_asked_for_tokens(server)) == 1


@pytest.mark.parametrize("first", [PASSWORD, IDENTITY])
def test_credentials_are_renewed_once(guarded: tuple[Guarded, SmallServer], first: Credentials) -> None:
    """When the token service refuses credentials, the keychain's fresher ones are tried."""
    registry, server = guarded
    fresh = Credentials("elsewhere", "ada", "fresh")
    wanted = "Basic " + base64.b64encode(b"ada:fresh").decode()
    registry.mint = lambda asked: _token("token-1") if asked.headers.get("authorization") == wanted else Reply(401)
    keys = Keys([first, fresh])
    assert _client(server, keys).has_blob("a/b", DIGEST)
    assert keys.renewals == 1


def test_threads_renew_credentials_together(guarded: tuple[Guarded, SmallServer]) -> None:
    """When two threads learn that the same credentials are refused, the keychain is asked for others once."""
    registry, server = guarded
    both_came = threading.Barrier(2)
    fresh = "Basic " + base64.b64encode(b"ada:fresh").decode()

    def mint(asked: Asked) -> Reply:
        if asked.headers["authorization"] == fresh:
            return _token("token-1")
        both_came.wait(20)
        return Reply(401)

    registry.mint = mint
    keys = Keys([PASSWORD, Credentials("elsewhere", "ada", "fresh"), Credentials("not asked for", "eve", "x")])
    client = _client(server, keys)
    ways: list[Callable[[], object]] = [
        lambda: client.has_blob("a/b", DIGEST),
        lambda: client.mount_blob("a/b", DIGEST, "c/d"),
    ]
    _in_threads(2, lambda: ways.pop()())  # noqa: PLW0108  (each thread takes another)
    assert keys.renewals == 1


def test_a_refusal_names_the_source(guarded: tuple[Guarded, SmallServer]) -> None:
    """Refused credentials end in an error that says where they came from, and shows no secret."""
    registry, server = guarded
    registry.mint = lambda _: Reply(401, b'{"details":"incorrect username or password"}')
    with pytest.raises(NotAllowedError) as caught:
        _client(server, Keys([PASSWORD])).has_blob("a/b", DIGEST)
    assert "ada, from a test" in caught.value.message
    assert caught.value.hint
    assert "marked" not in repr(caught.value) + caught.value.message + caught.value.hint


def test_a_token_that_allows_too_little(guarded: tuple[Guarded, SmallServer]) -> None:
    """A fresh token that is refused too is no reason to go on asking."""
    registry, server = guarded
    registry.valid = set()
    with pytest.raises(NotAllowedError):
        _client(server, Keys([PASSWORD])).has_blob("a/b", DIGEST)
    assert len(_asked_for_tokens(server)) == 1


@pytest.mark.parametrize(
    "realm",
    [
        "http://registry.example.org/token",
        "http://192.0.2.7/token",
        "https://10.1.2.3/token",
        "ftp://127.0.0.1/",
        "token",
    ],
)
def test_realms_that_must_not_be_asked(realm: str) -> None:
    """A registry on the Internet names a token service without TLS or inside our network: it is not asked.

    The client of a public address is stood in for by its rule: nothing outside of this machine is reachable here.
    """
    with pytest.raises(UntrustedInputError):
        Address.of("20.1.2.3", {}).check(realm, "what gives out tokens")


def test_a_host_that_no_network_can_have_is_nowhere_private() -> None:
    """A label of more than 63 letters cannot be looked up: that is no crash, the request itself tells it."""
    Address.of("20.1.2.3", {}).check(f"https://{'a' * 64}.example.org/token", "what gives out tokens")


def test_a_realm_in_clear_text_elsewhere(guarded: tuple[Guarded, SmallServer]) -> None:
    """A registry on this machine may have a token service here without TLS, but none elsewhere."""
    registry, server = guarded
    registry.realm = "http://192.0.2.7/token"
    with pytest.raises(UntrustedInputError, match="not encrypted") as caught:
        _client(server, Keys([PASSWORD])).has_blob("a/b", DIGEST)
    assert "SHIPML_INSECURE_REGISTRIES" in caught.value.hint


@pytest.mark.parametrize(
    "body",
    [
        b"x" * (65 << 10),
        b"[]",
        b"{}",
        b'{"token": ""}',
        b'{"token": "a\\r\\nX-Evil: 1"}',
        b'{"token": 7}',
        b"marked-secret",
    ],
)
def test_nonsense_for_a_token(guarded: tuple[Guarded, SmallServer], body: bytes) -> None:
    """A token service that answers too much, or something else than a token, is not believed, nor quoted."""
    registry, server = guarded
    registry.mint = lambda _: Reply(body=body)
    with pytest.raises(UntrustedInputError) as caught:
        _client(server).has_blob("a/b", DIGEST)
    assert "marked" not in caught.value.message


def test_a_token_service_that_fails(guarded: tuple[Guarded, SmallServer]) -> None:
    """The token service is asked again when it fails, and named when it goes on failing."""
    registry, server = guarded
    registry.mint = lambda _: Reply(503) if len(_asked_for_tokens(server)) < 3 else _token("token-1")
    assert _client(server).has_blob("a/b", DIGEST)
    registry.mint = lambda _: Reply(503)
    with pytest.raises(TryAgainError, match="/token"):
        _client(server).has_blob("a/b", DIGEST)


def test_basic(guarded: tuple[Guarded, SmallServer]) -> None:
    """Where a name and password are demanded they are sent, with every request after the first."""
    _, server = guarded
    wanted = "Basic " + base64.b64encode(b"ada:marked-password").decode()

    def answer(asked: Asked) -> Reply:
        fine = asked.headers.get("authorization") == wanted
        return Reply(200 if fine else 401, headers={} if fine else {"WWW-Authenticate": 'Basic realm="r"'})

    server.answer = answer
    client = _client(server, Keys([PASSWORD]))
    assert client.has_blob("a/b", DIGEST)
    assert client.has_blob("a/b", DIGEST)
    assert len(server.asked) == 3
    with pytest.raises(NotAllowedError):
        _client(server).has_blob("a/b", DIGEST)
    wrong = Credentials("a test", "ada", "wrong")
    assert _client(server, Keys([wrong, PASSWORD])).has_blob("a/b", DIGEST)


def test_credentials_stay_with_the_registry() -> None:
    """A redirect to another server, as to a blob's storage, carries no Authorization."""
    elsewhere = Reply(body=b"blob")
    with serve(lambda _: elsewhere) as storage, serve(Guarded()) as server:
        registry = server.answer
        assert isinstance(registry, Guarded)
        registry.realm = f"{server.url}/token"

        def answer(asked: Asked) -> Reply:
            reply = registry(asked)
            if reply.status == 200 and "blobs" in asked.path:
                return Reply(307, headers={"Location": f"{storage.url}/bucket?signature=1"})
            return reply

        server.answer = answer
        with _client(server, Keys([PASSWORD])).open_blob("a/b", Descriptor("", DIGEST, 4)) as stream:
            assert stream.read() == b"blob"
        (asked,) = storage.asked
        assert asked.path == "/bucket?signature=1"
        assert "authorization" not in asked.headers
