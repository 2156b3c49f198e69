"""What engines and registries say, in the words that they used."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.docker_engine.endpoint import Endpoint, TlsFiles
from shipml.docker_engine.explain import explain, unreachable
from shipml.errors import (
    BuildError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UsageError,
)


@pytest.mark.parametrize(
    ("said", "error", "hint"),
    [
        ("write /var/lib/docker/tmp/x: no space left on device", BuildError, "docker system prune"),
        ("toomanyrequests: You have reached your pull rate limit.", TryAgainError, "docker login"),
        ('Get "https://r/v2/": x509: certificate signed by unknown authority', UnavailableError, "certs.d"),
        ("unauthorized: authentication required", NotAllowedError, "docker login"),
        ("denied: requested access to the resource is denied", NotAllowedError, "docker login"),
        ("no basic auth credentials", NotAllowedError, "docker login"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", UnavailableError, "--platform"),
        ('could not select device driver "" with capabilities: [[gpu]]', UnavailableError, "--gpus"),
        ("driver failed programming external connectivity: port is already allocated", UnavailableError, "port"),
        ("No such image: user/app:1", UsageError, "docker images"),
        ("manifest for library/python:9 not found: manifest unknown", UsageError, "tag"),
        ("received unexpected HTTP status: 500 Internal Server Error", TryAgainError, "again"),
        ("dial tcp: lookup r.example.org: no such host", TryAgainError, "again"),
        ("http: server gave HTTP response to HTTPS client", UnavailableError, "insecure-registries"),
        ("something new", BuildError, "log"),
    ],
)
def test_each_complaint_has_its_error_and_way_out(said: str, error: type[ShipmlError], hint: str) -> None:
    """One cause, one class (so one exit code), one thing to do."""
    explained = explain(said, "push user/app:1", asks_registry=True)
    assert type(explained) is error
    assert hint in explained.hint
    assert "push user/app:1" in explained.message


def test_a_cut_connection_is_the_registrys_only_where_one_is_asked() -> None:
    """The same words in a load mean the engine itself."""
    assert "registry" in explain("unexpected EOF", "pull user/app:1", asks_registry=True).message
    loading = explain("failed to copy: failed to send write: EOF", "load user/app:1")
    assert "registry" not in loading.message
    assert isinstance(loading, TryAgainError)


def test_an_engine_that_loses_its_containerd_is_stopping() -> None:
    """What 28.5 said when it was killed in a load, and 20.10 in a build: the command can be repeated."""
    text = 'failed to ingest "blobs/sha256/5149": failed to send write: grpc: the client connection is closing'
    mount = (
        "failed to read downloaded context: failed to mount /x/tmp/buildkit-mount39082: [{Type:bind}]: invalid argument"
    )
    for error in (explain(text, "load load:1"), explain(mount, "build the image")):
        assert isinstance(error, TryAgainError)
        assert "docker info" in error.hint


@pytest.mark.parametrize(
    "reason",
    [
        "SSLError(SSLError(1, '[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate (_ssl.c:2580)')",
        "SSLError(SSLEOFError(8, 'EOF occurred in violation of protocol (_ssl.c:2427)')))",
        "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
        "('Connection aborted.', BrokenPipeError(32, 'Broken pipe'))",
    ],
)
def test_an_engine_that_refuses_our_certificate(reason: str) -> None:
    """However the refusal reaches us, the files of DOCKER_CERT_PATH are the way out; without TLS they are not."""
    files = TlsFiles(Path("ca.pem"), None, None, verify=True)
    error = unreachable(Endpoint("tcp://127.0.0.1:2376", "DOCKER_HOST", tls=files), reason, 2)
    assert "no TLS connection" in error.message
    assert "_ssl.c" not in error.message
    assert "DOCKER_CERT_PATH" in error.hint
    if "aborted" in reason:
        plain = unreachable(Endpoint("tcp://127.0.0.1:2375", "DOCKER_HOST"), reason, 2)
        assert "DOCKER_CERT_PATH" not in plain.hint
