"""The network of this machine in builds: a package index behind a private authority and a password."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.build.builder import BuildContext
from shipml.build_elsewhere.docker import DockerBuilder
from shipml.build_elsewhere.host_access import host_access, proxy_arguments
from shipml.docker_engine import connect
from shipml.errors import UnavailableError
from shipml.events import ignore
from shipml.oci.image import read_config
from shipml.store import Store
from tests.package_index import PackageIndex, serve_index
from tests.peers.engine import Engine
from tests.peers.registry import PYTHON_BASE, Registry


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("authority")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", "key.pem", "-out", "ca.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def index(authority: Path) -> Iterator[PackageIndex]:
    """An index with one package, which asks for a password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "ca.pem", authority / "key.pem")
    with serve_index(context) as served:
        served.add("flower", "1.0")
        served.credentials = ("ann", "pa55")
        yield served


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.slow
def test_pip_reaches_a_private_index(
    index: PackageIndex, authority: Path, docker_28_overlay2: Engine, hub: Registry, tmp_path: Path
) -> None:
    """With SSL_CERT_FILE and PIP_INDEX_URL set here, pip works in the build; without the first, the error says so."""
    assert hub
    project = tmp_path / "project"
    project.mkdir()
    (project / "Dockerfile").write_text(f"FROM {PYTHON_BASE}\nRUN pip install --no-cache-dir --retries 0 flower\n")
    environment = {"PIP_INDEX_URL": f"https://ann:pa55@{index.host}/simple"}
    store = Store(tmp_path / "home")
    with connect(environment={"DOCKER_HOST": docker_28_overlay2.host}, timeout_seconds=10) as engine:
        context = BuildContext(project, ignore)
        with pytest.raises(UnavailableError, match="private authority") as caught:
            DockerBuilder(store, engine, environment=environment).build_folder(context)
        assert "export SSL_CERT_FILE=" in caught.value.hint

        environment["SSL_CERT_FILE"] = str(authority / "ca.pem")
        image = DockerBuilder(store, engine, environment=environment).build_folder(context)
        name = str(image.id)
        printed = docker_28_overlay2.docker("run", "--rm", "--network", "none", name, "pip", "freeze").stdout
        assert "flower==1.0" in printed
        assert "pa55" not in str(read_config(image))
    store.close()


def test_a_machine_like_all_others_adds_nothing(tmp_path: Path) -> None:
    """Without authorities, indexes and proxies of its own there is nothing to mount."""
    assert host_access({}, tmp_path) is None
    assert host_access({"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}, tmp_path) is None
    assert host_access({"SSL_CERT_FILE": str(tmp_path / "missing")}, tmp_path) is None
    assert proxy_arguments({"PATH": "/bin"}) == {}


def test_authorities_that_were_added_to_the_system_count(tmp_path: Path) -> None:
    """Certificates that an administrator added are in the bundle, with the usual ones."""
    (tmp_path / "corporate.crt").write_text("added")
    found = host_access({}, tmp_path)
    assert found is not None
    assert found.arguments["PIP_CERT"] == "/dev/shipml/ca.pem"
    assert b"BEGIN CERTIFICATE" in found.files["ca.pem"]


def test_uvs_settings_of_indexes_become_pips(tmp_path: Path) -> None:
    """The variables of uv win, names of indexes are dropped, and folders of this machine are left out."""
    found = host_access(
        {
            "UV_DEFAULT_INDEX": "https://a.example.org/simple",
            "PIP_INDEX_URL": "https://b.example.org/simple",
            "UV_INDEX": "corp=https://c.example.org/simple?x=1 file:///wheels",
        },
        tmp_path,
    )
    assert found is not None
    assert found.files == {
        "pip.conf": b"[global]\nindex-url = https://a.example.org/simple\n"
        b"extra-index-url = https://c.example.org/simple?x=1\n"
    }
    assert found.arguments == {"PIP_CONFIG_FILE": "/dev/shipml/pip.conf"}
    assert "example.org" not in repr(found)
