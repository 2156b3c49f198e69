"""An engine behind TLS, which demands a certificate of its clients, too."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shipml.docker_engine import connect
from shipml.errors import ShipmlError, UnavailableError
from tests.peers.engine import Engine as PeerEngine
from tests.peers.engine import engine_2010, run
from tests.peers.need import need

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.feature("connect: by TCP with TLS")]

_FAR_TOO_LONG_SECONDS = 5.0


class Authority:
    """A certificate authority of the openssl program."""

    def __init__(self, folder: Path) -> None:
        """Make its key and certificate in `folder`, which is made."""
        folder.mkdir()
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca-key.pem"
        self._openssl("req", "-x509", "-days", "2", "-subj", f"/CN={folder.name}", "-keyout", str(self._key))
        self._folder = folder

    def issue(self, folder: Path, usage: str) -> Path:
        """Make key.pem and cert.pem of 127.0.0.1 for `usage` (serverAuth, clientAuth) in `folder`; returns that."""
        folder.mkdir(exist_ok=True)
        self._openssl(
            "req", "-x509", "-days", "2", "-subj", "/CN=peer", "-keyout", str(folder / "key.pem"),
            "-CA", str(self.certificate), "-CAkey", str(self._key), "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", f"extendedKeyUsage={usage}", "-addext", "basicConstraints=critical,CA:FALSE",
            out=folder / "cert.pem",
        )  # fmt: skip
        return folder

    def _openssl(self, *arguments: str, out: Path | None = None) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
        run(["openssl", *arguments, *key, "-out", str(out or self.certificate)])


@dataclass(frozen=True, slots=True)
class Guarded:
    """An engine that lets in only who has a certificate of `authority`."""

    engine: PeerEngine
    host: str
    authority: Authority


@pytest.fixture(scope="module", params=["20.10"])  # its column in docs/engines.md
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Docker Engine 20.10 on a TCP port with `--tlsverify`."""
    need("openssl")
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "authority")
    server = authority.issue(folder / "server", "serverAuth")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    options = (
        "-H", host, "--tlsverify", "--tlscacert", str(authority.certificate),
        "--tlscert", str(server / "cert.pem"), "--tlskey", str(server / "key.pem"),
    )  # fmt: skip
    with engine_2010(None, *options) as engine:
        yield Guarded(engine, host, authority)


@pytest.fixture
def client(guarded: Guarded, tmp_path: Path) -> Path:
    """A folder as DOCKER_CERT_PATH names it, with all that the engine demands."""
    folder = guarded.authority.issue(tmp_path / "client", "clientAuth")
    shutil.copy(guarded.authority.certificate, folder / "ca.pem")
    return folder


def _environment(guarded: Guarded, certificates: Path) -> dict[str, str]:
    return {"DOCKER_HOST": guarded.host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}


def _refusal(environment: dict[str, str]) -> ShipmlError:
    begun_at = time.monotonic()
    with pytest.raises(ShipmlError) as caught:
        connect(environment=environment)
    assert time.monotonic() - begun_at < _FAR_TOO_LONG_SECONDS
    assert "does not answer within" not in caught.value.message, "found out, not given up"
    return caught.value


def test_an_engine_behind_tls(guarded: Guarded, client: Path) -> None:
    """With DOCKER_TLS_VERIFY and DOCKER_CERT_PATH the engine is reached; it is not of this machine for all we know."""
    with connect(environment=_environment(guarded, client), timeout_seconds=10) as engine:
        assert engine.version == guarded.engine.version
        assert engine.image_ids() is not None
        assert guarded.host in str(engine.endpoint)
        assert not engine.endpoint.is_local


def test_other_authorities_of_this_machine_do_not_matter(
    guarded: Guarded, client: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle that Python's HTTP clients are told to use does not replace the engine's own ca.pem."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path / "other").certificate))
    with connect(environment=_environment(guarded, client), timeout_seconds=10) as engine:
        assert engine.image_ids() is not None


def test_without_a_certificate_of_ones_own(guarded: Guarded, client: Path) -> None:
    """An engine that demands a client's certificate says so, and the hint says where to put it."""
    (client / "cert.pem").unlink()
    (client / "key.pem").unlink()
    error = _refusal(_environment(guarded, client))
    assert isinstance(error, UnavailableError)
    assert "no TLS connection" in error.message
    assert guarded.host in error.message
    assert "verify failed" not in error.message
    assert "cert.pem" in error.hint
    assert "DOCKER_CERT_PATH" in error.hint


def test_with_a_certificate_that_another_authority_issued(guarded: Guarded, client: Path, tmp_path: Path) -> None:
    """A client's certificate that the engine does not trust is refused in the same way."""
    Authority(tmp_path / "other").issue(client, "clientAuth")
    error = _refusal(_environment(guarded, client))
    assert isinstance(error, UnavailableError)
    assert "no TLS connection" in error.message
    assert "verify failed" not in error.message
    assert "cert.pem" in error.hint


def test_an_engine_of_another_authority(guarded: Guarded, client: Path, tmp_path: Path) -> None:
    """An engine whose certificate our ca.pem did not issue is not spoken to."""
    shutil.copy(Authority(tmp_path / "other").certificate, client / "ca.pem")
    error = _refusal(_environment(guarded, client))
    assert isinstance(error, UnavailableError)
    assert "no TLS connection" in error.message
    assert error.message.endswith(": certificate verify failed: unable to get local issuer certificate")
    assert "ca.pem" in error.hint


def test_without_tls(guarded: Guarded) -> None:
    """Plain HTTP to an engine that wants TLS: the hint says how to turn it on."""
    error = _refusal({"DOCKER_HOST": guarded.host})
    assert isinstance(error, UnavailableError)
    assert "no TLS connection" in error.message
    assert "DOCKER_TLS_VERIFY=1" in error.hint
