"""The CNCF registry (docker-registry 2.8) on a free port of the loopback, and what the tests put into it."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import socket
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Self

import urllib3

from tests.peers.cache import kept, mmdebstrap
from tests.peers.daemon import Daemon, peer_folder
from tests.peers.engine import run
from tests.peers.need import need

__all__ = ["PYTHON_BASE", "Registry", "push_python_base", "python_base", "start_registry"]

PYTHON_BASE = "python:3.11-slim"
"""What the peers' Dockerfiles start from; Docker Hub's own is not needed."""
_SAME_BASE = (PYTHON_BASE, f"{PYTHON_BASE}-bookworm")
"""Tags under which Docker Hub has that image."""

_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


_PORTS = 20_000, 32_000


class Registry:
    """A running registry; `with` stops it and removes what it stored."""

    def __init__(self, htpasswd: str = "", *, auth: Mapping[str, object] | None = None) -> None:
        """Start it, deletion allowed; by default it lets everybody in.

        Args:
            htpasswd: bcrypt lines; demands a name and password.
            auth: the `auth` section of its configuration, instead.
        """
        self.folder = peer_folder("registry")
        self.host = f"127.0.0.1:{_free_port()}"
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{self.folder}/data"}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
        }
        if htpasswd:
            (self.folder / "htpasswd").write_text(htpasswd)
            config["auth"] = {"htpasswd": {"realm": "tests", "path": f"{self.folder}/htpasswd"}}
        elif auth:
            config["auth"] = dict(auth)
        (self.folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        self.start()

    def start(self) -> None:
        """Start it, again after `kill`: with what it has stored, but without a memory of its own. Main thread only."""
        self._daemon = Daemon(self.folder, ["docker-registry", "serve", f"{self.folder}/config.yml"])
        self._daemon.wait_until(self._answers)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._daemon.kill()

    @property
    def url(self) -> str:
        """Its address for HTTP clients."""
        return f"http://{self.host}"

    def _answers(self) -> bool:
        try:
            answer = urllib3.request("GET", f"{self.url}/v2/", retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.__exit__()


def start_registry(htpasswd: str = "") -> Registry:
    """A registry for the tests, open to everybody or to those in `htpasswd`."""
    need("docker-registry", "unshare", "setpriv", root=True)
    return Registry(htpasswd)


def _free_port() -> int:
    """A port that is free, below those that the kernel gives to clients: it stays free while the registry restarts."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(*_PORTS)))  # noqa: S311  (no secret)
            port: int = probe.getsockname()[1]
            return port


def python_base() -> Path:
    """An OCI layout with a stand-in for Docker Hub's python:3.11-slim: Debian 12's Python 3.11 and pip.

    Like Hub's it has `python` on PATH, no documentation, and lets pip install into the system. Unlike Hub's it trusts
    the certificate authorities of this machine, so that pip and uv work inside where those here do.
    """
    return kept("python-base", _make_python_base)


def _make_python_base(layout: Path) -> None:
    need("buildah", "skopeo", root=True)
    system, storage = layout.with_suffix(".tar"), layout.with_suffix(".storage")
    _install_python(system)
    buildah = ["buildah", "--root", f"{storage}/root", "--runroot", f"{storage}/run", "--storage-driver", "vfs"]
    settings = ["--cmd", "python3", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    if _CA_BUNDLE.exists():
        settings += ["--env", f"SSL_CERT_FILE={_CA_BUNDLE}"]
    container = run([*buildah, "from", "scratch"]).stdout.strip()
    run([*buildah, "add", container, str(system), "/"])
    run([*buildah, "config", *settings, container])
    run([*buildah, "commit", "--quiet", "--disable-compression=false", container, f"oci:{layout}:{PYTHON_BASE}"])
    shutil.rmtree(storage)
    system.unlink()


def _install_python(tar: Path) -> None:
    hooks = ['ln -s python3 "$1/usr/bin/python"', 'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED']
    if _CA_BUNDLE.exists():
        hooks.append(f'cp {_CA_BUNDLE} "$1{_CA_BUNDLE}"')
    mmdebstrap(
        tar,
        "bookworm",
        ["python3", "python3-pip", "ca-certificates"],
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale", "info")),
        *(f"--customize-hook={hook}" for hook in hooks),
    )


def push_python_base(registry: Registry) -> str:
    """Put the base where an engine looks whose Hub mirror is `registry`; returns the name to pull."""
    for name in _SAME_BASE:
        target = f"docker://{registry.host}/library/{name}"
        run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{python_base()}:{PYTHON_BASE}", target])
    return PYTHON_BASE
