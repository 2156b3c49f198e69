"""Podman's socket that speaks Docker's API, on storage of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Self

from tests.peers.daemon import Daemon, peer_folder
from tests.peers.need import need

__all__ = ["PodmanService", "start_podman_service"]

_SETTINGS = '[containers]\ndefault_ulimits = ["nofile=512:512", "nproc=512:512"]\n'  # small machines allow no more

_REGISTRIES = """\
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "{0}"
insecure = true
[[registry]]
prefix = "docker.io"
location = "{0}"
insecure = true
[[registry]]
location = "localhost"
insecure = true
"""


class PodmanService:
    """`podman system service`; `with` stops it and removes what it stored."""

    def __init__(self, insecure_registry: str) -> None:
        """Start it; `insecure_registry` (host:port) stands in for Docker Hub; like `localhost` it needs no TLS."""
        self.folder = peer_folder("podman-api")
        (self.folder / "containers.conf").write_text(_SETTINGS)
        registries = _REGISTRIES.format(insecure_registry)
        (self.folder / "registries.conf").write_text(registries)
        self._daemon = Daemon(
            self.folder,
            ["env", f"--chdir={self.folder}", f"CONTAINERS_CONF={self.folder}/containers.conf",
             f"CONTAINERS_REGISTRIES_CONF={self.folder}/registries.conf", f"TMPDIR={self.folder}",
             "podman", "--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--tmpdir",
             f"{self.folder}/tmp", "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--storage-driver", "overlay",
             "system", "service", "--time=0", self.host],
        )  # fmt: skip
        self._daemon.wait_until((self.folder / "s").exists)

    @property
    def host(self) -> str:
        """What DOCKER_HOST has to say."""
        return f"unix://{self.folder}/s"

    def stop(self) -> None:
        """Stop it; what it stored stays until the `with` block ends."""
        self._daemon.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.stop()
        shutil.rmtree(Path(self.folder), ignore_errors=True)


def start_podman_service(insecure_registry: str) -> PodmanService:
    """A service with empty storage."""
    need("podman", "runc", "unshare", "setpriv", root=True)
    return PodmanService(insecure_registry)
