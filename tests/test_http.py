"""Downloads, against real servers on loopback: retries, resumption, limits, proxies, certificates, credentials."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shipml.errors import (
    BuildError,
    ConfigurationError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UntrustedInputError,
)
from shipml.http import HttpClient, redacted
from shipml.oci.digest import Digest
from shipml.store import Store
from tests.peers.stand_in_tls import Authority

BODY = bytes(range(256)) * 12_000
"""3 MB."""
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC")
Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


@dataclass
class Server:
    """A server that gives its answers in turn, the last one for ever, and notes what was asked."""

    answers: list[Answer]
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self, handler: Handler) -> Answer:
        """The answer to the next request."""
        with self.lock:
            self.asked.append((handler.path, {name.lower(): value for name, value in handler.headers.items()}))
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.contextmanager
def serve(*answers: Answer, certificate: Path | None = None) -> Iterator[Server]:
    """Run a server on a loopback port."""
    server = Server(list(answers))

    class Answering(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802  (the name that http.server looks for)
            server.next_answer(self)(self)

        do_CONNECT = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            """Say nothing."""

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that go away are part of these tests."""

    with Quiet(("127.0.0.1", 0), Answering) as listener:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"{'https' if certificate else 'http'}://127.0.0.1:{listener.server_port}"
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


def give(body: bytes = BODY, *, status: int = 200, **headers: str) -> Answer:
    """Answer with a body; headers are named with _ for -."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def cut(after_bytes: int, **headers: str) -> Answer:
    """Promise all of BODY and hang up after some of it."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(BODY[:after_bytes])
        handler.close_connection = True

    return answer


def give_rest(handler: Handler) -> None:
    """Answer a request for the rest of BODY."""
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    rest = BODY[start:]
    give(rest, status=206, Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")(handler)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, certificates or credentials of the machine that the tests run on."""
    for name in (*VARIABLES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "no-home"))


@pytest.fixture
def client() -> HttpClient:
    """A client that does not wait long."""
    return HttpClient(first_pause_seconds=0.01)


def _fetch(client: HttpClient, url: str, store: Store, body: bytes = BODY, **options: int) -> list[int]:
    """Fetch a blob, look that it is there whole, and return what was reported as progress."""
    steps: list[int] = []
    path = client.fetch_blob(url, Digest.of(body), store, progress=steps.append, size_bytes=options.get("size_bytes"))
    assert path.read_bytes() == body
    return steps


def test_a_blob_is_downloaded_once(client: HttpClient, store: Store) -> None:
    """The file lands in the store under its digest; the second time nobody is asked."""
    with serve(give()) as server:
        steps = _fetch(client, f"{server.url}/x.whl", store, size_bytes=len(BODY))
        _fetch(client, f"{server.url}/x.whl", store)
    assert sum(steps) == len(BODY)
    assert [path for path, _ in server.asked] == ["/x.whl"]
    assert server.asked[0][1]["accept-encoding"] == "identity"


def test_eight_threads_fetch_one_blob_once(client: HttpClient, store: Store) -> None:
    """Whoever comes while a download runs waits for it."""
    with serve(give()) as server:
        threads = [threading.Thread(target=_fetch, args=(client, server.url + "/x", store)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again(client: HttpClient, store: Store, status: int) -> None:
    """A server that is busy for a moment is asked again."""
    with serve(give(b"busy", status=status), give(b"busy", status=status), give()) as server:
        _fetch(client, server.url, store)
    assert len(server.asked) == 3


def test_lasting_failures_end(client: HttpClient) -> None:
    """After four attempts the error says what the server answered, and that later may be better."""
    with serve(give(b"busy", status=503)) as server, pytest.raises(TryAgainError, match="answered 503") as caught:
        client.read(server.url, limit_bytes=10)
    assert len(server.asked) == 4
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("value", ["0", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "-1"])
def test_retry_after_is_read(client: HttpClient, value: str) -> None:
    """A pause that is over, or makes no sense, is none."""
    with serve(give(b"", status=429, Retry_After=value), give(b"ok")) as server:
        assert client.read(server.url, limit_bytes=10) == b"ok"


@pytest.mark.parametrize("value", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_long_retry_after_is_not_waited_for(client: HttpClient, value: str) -> None:
    """Who is to come back in an hour is told so, instead of waiting without a word."""
    with serve(give(b"", status=429, Retry_After=value)) as server, pytest.raises(TryAgainError, match="asks to wait"):
        client.read(server.url, limit_bytes=10)
    assert len(server.asked) == 1


@pytest.mark.parametrize("validator", [{"ETag": '"v1"'}, {"Last_Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}])
def test_a_cut_download_goes_on_where_it_stopped(client: HttpClient, store: Store, validator: dict[str, str]) -> None:
    """With a validator the rest is asked for, on condition that the file is the same."""
    with serve(cut(2 << 20, **validator), give_rest) as server:
        steps = _fetch(client, server.url, store)
    assert server.asked[1][1]["if-range"] == next(iter(validator.values()))
    assert sum(steps) == len(BODY)
    assert min(steps) > 0


def test_a_download_cut_often_arrives_if_it_advances(client: HttpClient, store: Store) -> None:
    """Cuts count only while nothing comes: six in a row are survived."""

    def give_some(handler: Handler) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206)
        handler.send_header("ETag", '"v1"')
        handler.send_header("Content-Length", str(len(BODY) - start))
        handler.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        handler.end_headers()
        handler.wfile.write(BODY[start : start + 100_000])
        handler.close_connection = True

    with serve(cut(2 << 20, ETag='"v1"'), *[give_some] * 5, give_rest) as server:
        _fetch(client, server.url, store)
    assert len(server.asked) == 7


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (cut(2 << 20), give()),
        (cut(2 << 20, ETag='W/"weak"'), give()),
        (cut(2 << 20, ETag='"v1"'), give(ETag='"v2"')),
        (cut(2 << 20, ETag='"v1"'), give(b"", status=416)),
        (cut(0), give()),
    ],
    ids=["no validator", "weak validator", "changed file", "range refused", "cut at once"],
)
def test_a_cut_download_starts_over_where_it_must(
    client: HttpClient, store: Store, first: Answer, second: Answer
) -> None:
    """Without a validator, or where the file changed, no byte of the first attempt is kept."""
    with serve(first, second, give()) as server:
        steps = _fetch(client, server.url, store)
    assert len(server.asked) in (2, 3)
    assert sum(steps) == len(BODY)


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_the_rest_is_not_asked_for_without_a_strong_validator(
    client: HttpClient, store: Store, headers: dict[str, str]
) -> None:
    """What may be another file by now is asked for whole."""
    with serve(cut(2 << 20, **headers), give()) as server:
        _fetch(client, server.url, store)
    assert "range" not in server.asked[1][1]


def test_a_server_that_always_hangs_up_is_given_up(client: HttpClient, store: Store) -> None:
    """Four cuts without advance end in an error, and no blob or leftover stays."""
    with serve(cut(1000)) as server, pytest.raises(TryAgainError, match="could not download"):
        _fetch(client, server.url, store)
    assert len(server.asked) == 4
    assert store.blob_digests() == frozenset()
    assert list((store.home / "tmp").iterdir()) == []


def test_a_server_that_sends_the_same_beginning_again_is_given_up(client: HttpClient, store: Store) -> None:
    """Only bytes beyond the furthest that ever came count as progress."""
    answers = [cut(10, ETag='"one"')] * 40
    with serve(*answers) as server, pytest.raises(TryAgainError):
        client.fetch_blob(server.url, Digest.of(BODY), store)
    assert len(server.asked) < 10


def test_a_server_that_drips_is_given_up(client: HttpClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that comes in a few bytes a second has a deadline by its rate."""
    monkeypatch.setattr("shipml.http.download._SPAN_SECONDS", 0.05)
    monkeypatch.setattr("shipml.http.download._LEAST_BYTES_PER_SECOND", 100_000)

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            for at in range(100):
                handler.wfile.write(BODY[at : at + 1])
                time.sleep(0.02)
        handler.close_connection = True

    with serve(*[drip] * 10) as server, pytest.raises(TryAgainError):
        client.fetch_blob(server.url, Digest.of(BODY), store)


def test_what_does_not_fit_on_the_disk_is_not_begun(client: HttpClient, store: Store) -> None:
    """The server's own word about the size is enough, where nobody else says it."""

    def promise(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**16))
        handler.end_headers()
        handler.close_connection = True

    with serve(promise) as server, pytest.raises(UntrustedInputError):
        client.fetch_blob(server.url, Digest.of(BODY), store)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_read(kind: str, client: HttpClient, store: Store, tmp_path: Path) -> None:
    """A pipe would wait for ever, a device would never end."""
    path = tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(BuildError):
        client.fetch_blob(path.as_uri(), Digest.of(BODY), store)


def test_the_digest_of_another_file_is_not_told(client: HttpClient, store: Store, tmp_path: Path) -> None:
    """A lock that names a file of this machine does not learn what it holds."""
    (tmp_path / "secret").write_bytes(b"guess")
    with pytest.raises(UntrustedInputError) as caught:
        client.fetch_blob((tmp_path / "secret").as_uri(), Digest.of(BODY), store)
    assert Digest.of(b"guess").hex not in caught.value.message


def test_nobody_there_is_an_error_to_try_again(client: HttpClient) -> None:
    """A closed port is named with the host and without a traceback of the library's objects."""
    with serve(give()) as server:
        pass
    with pytest.raises(TryAgainError, match="Connection refused") as caught:
        client.read(server.url + "/x", limit_bytes=10)
    assert server.url in caught.value.message
    assert "object at 0x" not in caught.value.message


@pytest.mark.parametrize(
    ("body", "size_bytes", "because"),
    [
        (BODY[:-1] + b"?", None, "has the digest"),
        (BODY + b"!", len(BODY), "larger than"),
        (BODY[:-1], len(BODY), "not the 3072000 that"),
    ],
)
def test_a_body_that_is_not_the_one_named_is_refused(
    client: HttpClient, store: Store, body: bytes, size_bytes: int | None, because: str
) -> None:
    """Digest and size are checked, one attempt is enough, and nothing stays."""
    with serve(give(body)) as server, pytest.raises(UntrustedInputError, match=because):
        client.fetch_blob(server.url, Digest.of(BODY), store, size_bytes=size_bytes)
    assert len(server.asked) == 1
    assert store.blob_digests() == frozenset()


def test_a_body_larger_than_the_limit_is_refused(client: HttpClient) -> None:
    """No more than the limit is held, and the connection is not used for the next request."""
    with serve(give(), give(b"small")) as server:
        with pytest.raises(UntrustedInputError, match="larger than the 1000 bytes"):
            client.read(server.url, limit_bytes=1000)
        assert client.read(server.url, limit_bytes=5) == b"small"


@pytest.mark.parametrize(
    ("status", "error", "hint"),
    [
        (401, NotAllowedError, "netrc"),
        (403, NotAllowedError, "netrc"),
        (404, BuildError, "--upgrade"),
        (410, BuildError, "--upgrade"),
        (204, BuildError, ""),
        (206, BuildError, ""),
    ],
)
def test_other_answers_end_at_once(client: HttpClient, status: int, error: type[ShipmlError], hint: str) -> None:
    """What no repetition mends is asked once, and the error says what to do."""
    with serve(give(b"", status=status)) as server, pytest.raises(error, match=f"answered {status}") as caught:
        client.read(server.url, limit_bytes=10)
    assert type(caught.value) is error
    assert hint in caught.value.hint
    assert len(server.asked) == 1


def test_encoded_bodies_are_not_decoded(client: HttpClient, store: Store) -> None:
    """A mirror that labels .gz files as encoded cannot change the bytes that are hashed."""
    with serve(give(Content_Encoding="gzip")) as server:
        _fetch(client, server.url, store)


def test_redirects_are_followed_without_credentials(client: HttpClient) -> None:
    """The other host gets no Authorization; a circle ends."""
    with serve(give(b"there")) as other:
        with serve(give(b"", status=302, Location=f"{other.url}/y")) as server:
            url = server.url.replace("http://", "http://user:secret@")
            assert client.read(url, limit_bytes=10) == b"there"
        assert "authorization" in server.asked[0][1]
        assert "authorization" not in other.asked[0][1]
    with serve(give(b"", status=302, Location="/again")) as server, pytest.raises(BuildError, match="leads nowhere"):
        client.read(server.url, limit_bytes=10)


def test_no_redirect_leaves_tls(client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From https to http is refused before anything is asked there, after other redirects too; http to https is not."""
    authority = Authority(tmp_path)
    certificate = tmp_path / "server-and-key.pem"
    certificate.write_bytes((tmp_path / "server.pem").read_bytes() + (tmp_path / "server.key").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with serve(give(b"there")) as plain:
        leave = give(b"", status=302, Location=f"{plain.url}/y")
        with serve(give(b"", status=302, Location="/next"), leave, certificate=certificate) as server:
            with pytest.raises(UntrustedInputError):
                client.read(server.url, limit_bytes=10)
            assert [path for path, _ in server.asked] == ["/", "/next"]
        assert plain.asked == []
    with (
        serve(give(b"there"), certificate=certificate) as server,
        serve(give(b"", status=302, Location=f"{server.url}/y")) as plain,
    ):
        assert client.read(plain.url, limit_bytes=10) == b"there"


# Credentials


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_credentials_of_the_url_are_sent_and_never_told(client: HttpClient) -> None:
    """User and password go into the header, and into no message."""
    with serve(give(b"", status=401)) as server, pytest.raises(NotAllowedError) as caught:
        client.read(server.url.replace("http://", "http://me%40x:se%2Fcret@") + "/x?token=abc#y", limit_bytes=10)
    assert server.asked[0][1]["authorization"] == _basic("me@x:se/cret")
    assert caught.value.message == f"{server.url}/x answered 401: not allowed"


@pytest.mark.parametrize("url", ["http://user:secret@[bad/x", "gopher://user:secret@example.org/", "http://", "//x"])
def test_what_is_no_url_is_an_error_without_secrets(client: HttpClient, url: str) -> None:
    """Addresses that cannot be read are named without user and password, and never a crash."""
    with pytest.raises(BuildError) as caught:
        client.read(url, limit_bytes=10)
    assert "secret" not in caught.value.message
    assert "secret" not in redacted(url)


def test_unreachable_addresses_do_not_tell_secrets(client: HttpClient) -> None:
    """Errors of the connection have no credentials and no query in them."""
    with serve(give()) as server:
        pass
    with pytest.raises(TryAgainError) as caught:
        client.read(server.url.replace("http://", "http://user:secret@") + "/x?token=hidden", limit_bytes=10)
    assert not {"secret", "hidden"} & set(str(caught.value).replace("/", " ").replace("=", " ").split())


def test_netrc_gives_credentials_for_its_host(
    client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that NETRC names, or ~/.netrc, is read; other hosts get nothing; a broken file counts as none."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / ".netrc").write_text("machine 127.0.0.1 login me password pw\n")
    (home / ".netrc").chmod(0o600)
    (tmp_path / "other").write_text("machine example.org login me password pw\n")
    (tmp_path / "broken").write_text("no such thing\n")
    with serve(give(b"ok")) as server:
        client.read(server.url, limit_bytes=10)
        for name in ("other", "broken", "missing"):
            monkeypatch.setenv("NETRC", str(tmp_path / name))
            client.read(server.url, limit_bytes=10)
    assert [headers.get("authorization") for _, headers in server.asked] == [_basic("me:pw"), None, None, None]


def test_the_default_of_netrc_is_for_servers_that_ask(
    client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to nobody at first, then once to a server that answers 401 itself, and not to one for another."""
    (tmp_path / "netrc").write_text("machine example.org login x password x\ndefault login me password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve(give(b"", status=401), give(b"ok")) as server:
        assert client.read(server.url, limit_bytes=10) == b"ok"
    assert [headers.get("authorization") for _, headers in server.asked] == [None, _basic("me:pw")]
    with serve(give(b"", status=401)) as refusing, pytest.raises(NotAllowedError):
        client.read(refusing.url, limit_bytes=10)
    assert len(refusing.asked) == 2
    with (
        serve(give(b"", status=401)) as other,
        serve(give(b"", status=302, Location=other.url)) as first,
        pytest.raises(NotAllowedError),
    ):
        client.read(first.url, limit_bytes=10)
    assert {headers.get("authorization") for _, headers in (*other.asked, *first.asked)} == {None}


# Proxies


def test_the_proxy_of_the_environment_is_used(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is asked for the whole URL, with its own credentials; NO_PROXY goes past it."""
    with serve(give(b"from proxy")) as proxy, serve(give(b"direct")) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://pu:pw@"))
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://pu:pw@"))
        assert client.read("http://mirror.example.org/x", limit_bytes=20) == b"from proxy"
        monkeypatch.setenv("no_proxy", "127.0.0.1,.example.org")
        assert client.read(server.url, limit_bytes=20) == b"direct"
    assert proxy.asked[0][0] == "http://mirror.example.org/x"
    assert proxy.asked[0][1]["proxy-authorization"] == _basic("pu:pw")
    assert len(proxy.asked) == 1


def test_a_proxy_that_demands_credentials_is_named(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """407 is an error of rights, in a tunnel too, and says which variable takes the credentials."""
    with serve(give(b"", status=407)) as proxy:
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        for scheme in ("http", "https"):
            with pytest.raises(NotAllowedError, match=r"mirror\.example\.org") as caught:
                client.read(f"{scheme}://mirror.example.org/x", limit_bytes=20)
            assert "proxy" in caught.value.hint.lower()


def test_a_proxy_that_is_none_is_an_error_of_configuration(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of a kind that is not supported is named, without its password."""
    monkeypatch.setenv("http_proxy", "socks5://u:secret@127.0.0.1:1")
    with pytest.raises(ConfigurationError) as caught:
        client.read("http://mirror.example.org/x", limit_bytes=20)
    assert "secret" not in caught.value.message


# Certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private authority (ca.pem) and a server's key and certificate (server.pem), made by openssl."""
    folder = tmp_path_factory.mktemp("authority")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Private authority")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-days", "2", "-extfile", "names", "-out", "server.crt"),
    )
    (folder / "server.pem").write_text((folder / "server.key").read_text() + (folder / "server.crt").read_text())
    return folder


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_private_authority_is_trusted_if_named(
    store: Store, authority: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Each of the usual variables lets a private authority's certificate pass."""
    monkeypatch.setenv(variable, str(authority / "ca.pem"))
    with serve(give(), certificate=authority / "server.pem") as server:
        _fetch(HttpClient(), server.url, store)


def test_an_unknown_authority_is_refused_with_the_way_out(client: HttpClient, authority: Path) -> None:
    """A certificate that nobody vouches for ends at once, and the hint names the variable."""
    with (
        serve(give(), certificate=authority / "server.pem") as server,
        pytest.raises(UnavailableError, match="is not trusted here") as caught,
    ):
        client.read(server.url, limit_bytes=10)
    assert "SSL_CERT_FILE" in caught.value.hint
    assert server.asked == []


def test_a_bundle_that_is_none_is_an_error_of_configuration(
    client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file and one without certificates are named with their variable."""
    (tmp_path / "empty.pem").write_text("no certificate\n")
    for name in ("empty.pem", "missing.pem"):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / name))
        with pytest.raises(ConfigurationError, match=f"REQUESTS_CA_BUNDLE names .*{name}"):
            client.read("http://127.0.0.1:1/", limit_bytes=10)


# Files


def test_file_urls_are_copied(client: HttpClient, store: Store, tmp_path: Path) -> None:
    """A wheel on disk, with escapes in its URL, becomes a blob as any other; a missing one is named."""
    wheel = tmp_path / "a b%+ü.whl"
    wheel.write_bytes(BODY)
    _fetch(client, wheel.as_uri(), store)
    with pytest.raises(BuildError, match=r"cannot read .*none\.whl: No such file"):
        client.read((tmp_path / "none.whl").as_uri(), limit_bytes=10)
    with pytest.raises(UntrustedInputError, match="not sha256:"):
        client.fetch_blob(wheel.as_uri(), Digest(hashlib.sha256(b"other").hexdigest()), store)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@example.org:8/a?b=c#d", "https://example.org:8/a"),
        ("https://example.org/a", "https://example.org/a"),
        ("https://u:p@[::1]:8/a", "https://[::1]:8/a"),
        ("https://u:se/cret@example.org/a", "https://example.org/a"),
        ("https://u:p@[bad/a", "'[bad/a'"),
    ],
)
def test_redacted_urls_have_no_secrets(url: str, shown: str) -> None:
    """User, password, query and fragment are left out."""
    assert redacted(url) == shown
