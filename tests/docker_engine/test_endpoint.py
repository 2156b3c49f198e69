"""Where engines are looked for."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest

from shipml.docker_engine.endpoint import endpoints
from shipml.errors import ConfigurationError


def _context(home: Path, name: str, host: str, *, tls: bool = False, current: bool = True) -> Path:
    folder = home / ".docker"
    identifier = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / identifier
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    if current:
        (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    if tls:
        files = folder / "contexts/tls" / identifier / "docker"
        files.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (files / file).touch()
    return folder


def test_docker_host_wins(tmp_path: Path) -> None:
    """DOCKER_HOST comes before DOCKER_CONTEXT and the current context, as in docker itself."""
    _context(tmp_path, "colima", "unix:///elsewhere")
    environment = {"DOCKER_HOST": "tcp://10.0.0.1:2375", "DOCKER_CONTEXT": "colima"}
    assert [found.url for found in endpoints(environment, tmp_path)] == ["tcp://10.0.0.1:2375"]


def test_current_context_is_followed(tmp_path: Path) -> None:
    """The current context of docker's configuration names the engine, and the error can say so."""
    _context(tmp_path, "colima", "unix:///home/ann/.colima/default/docker.sock")
    (found,) = endpoints({}, tmp_path)
    assert (found.url, found.kind) == ("unix:///home/ann/.colima/default/docker.sock", "colima")
    assert "'colima'" in found.source


def test_docker_context_and_docker_config_are_honoured(tmp_path: Path) -> None:
    """DOCKER_CONTEXT chooses another context, DOCKER_CONFIG another folder; TLS files of the context are used."""
    folder = _context(tmp_path, "far", "tcp://far.example.org:2376", tls=True, current=False)
    (found,) = endpoints({"DOCKER_CONTEXT": "far", "DOCKER_CONFIG": str(folder)}, Path("/nowhere"))
    assert found.tls is not None
    assert found.tls.ca is not None
    assert found.tls.verify


def test_tls_of_the_environment(tmp_path: Path) -> None:
    """DOCKER_CERT_PATH and DOCKER_TLS_VERIFY make a TCP connection a TLS one."""
    (tmp_path / "ca.pem").touch()
    environment = {"DOCKER_HOST": "tcp://a:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    (found,) = endpoints(environment, tmp_path)
    assert found.tls is not None
    assert (found.tls.ca, found.tls.certificate, found.tls.verify) == (tmp_path / "ca.pem", None, True)


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    """Half a pair of files is a mistake that gets its own words."""
    (tmp_path / "cert.pem").touch()
    with pytest.raises(ConfigurationError, match="only one of"):
        endpoints({"DOCKER_HOST": "tcp://a:2376", "DOCKER_CERT_PATH": str(tmp_path)}, tmp_path)


def test_usual_sockets_in_their_order(tmp_path: Path) -> None:
    """Without any choice the sockets that exist are tried: rootless before Desktop before Colima before podman."""
    names = ["run/docker.sock", ".docker/run/docker.sock", ".colima/default/docker.sock", "run/podman/podman.sock"]
    for name in reversed(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    found = endpoints({"XDG_RUNTIME_DIR": str(tmp_path / "run")}, tmp_path)
    own = [one.url for one in found if str(tmp_path) in one.url]
    assert own == [f"unix://{tmp_path / name}" for name in names]


@pytest.mark.parametrize("host", ["ftp://a", "tcp://", "nonsense"])
def test_wrong_docker_host(host: str, tmp_path: Path) -> None:
    """A DOCKER_HOST that is no address is named, with what it may look like."""
    with pytest.raises(ConfigurationError, match="DOCKER_HOST") as caught:
        endpoints({"DOCKER_HOST": host}, tmp_path)
    assert "unix:///" in caught.value.hint


def test_unknown_context(tmp_path: Path) -> None:
    """A context that does not exist is named, with the way back."""
    with pytest.raises(ConfigurationError, match="'gone'") as caught:
        endpoints({"DOCKER_CONTEXT": "gone"}, tmp_path)
    assert "docker context use default" in caught.value.hint


def test_broken_docker_configuration(tmp_path: Path) -> None:
    """A config.json that is not valid JSON is named."""
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"config\.json is not valid JSON"):
        endpoints({}, tmp_path)
