"""Podman and buildah: another family of engines, with image libraries of their own, on storage of the test's own."""

from __future__ import annotations

import shutil
from typing import Self

from tests.peers.daemon import peer_folder
from tests.peers.engine import Result, run
from tests.peers.need import need

__all__ = ["Podman", "start_podman"]

_LIMITS = ("--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512")  # its defaults exceed those of small machines


class Podman:
    """Podman's images and containers in a folder of their own; `with` removes them."""

    def __init__(self) -> None:
        """Make the folder; nothing keeps running between two calls."""
        self.folder = peer_folder("podman")

    def podman(self, *arguments: str) -> Result:
        """Run one podman command; a failure is an AssertionError."""
        settings = ["--cgroup-manager", "cgroupfs", "--runtime", "runc", "--tmpdir", f"{self.folder}/tmp"]
        return run([*_ALONE, "podman", *self._storage, *settings, *arguments])

    def run_image(self, image: str, *command: str) -> Result:
        """Run `image` in a container without network."""
        return self.podman("run", "--rm", "--network", "none", *_LIMITS, image, *command)

    def buildah(self, *arguments: str) -> Result:
        """Run one buildah command on the same images; a failure is an AssertionError."""
        return run([*_ALONE, "buildah", *self._storage, *arguments])

    @property
    def _storage(self) -> list[str]:
        return ["--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--storage-driver", "overlay"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


# In namespaces of its own, so that no container monitor outlives the command.
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def start_podman() -> Podman:
    """Podman and buildah with empty storage."""
    need("podman", "buildah", "runc", "unshare", root=True)
    return Podman()
