"""A second registry and a second reader: go-containerregistry's, as Debian forky packages it (the program crane)."""

from __future__ import annotations

import socket
from http import HTTPStatus
from pathlib import Path
from typing import Self

import urllib3

from tests.peers.cache import kept, mmdebstrap
from tests.peers.daemon import Daemon, peer_folder
from tests.peers.engine import Result, run
from tests.peers.need import need

__all__ = ["CraneRegistry", "start_crane_registry"]


class CraneRegistry:
    """A running `crane registry serve`; `with` stops it. It takes no deletions and no credentials."""

    def __init__(self) -> None:
        """Start it on a free port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        folder = peer_folder("crane")
        self._daemon = Daemon(
            folder, [str(_program()), "registry", "serve", "--address", self.host, "--disk", str(folder)]
        )
        self._daemon.wait_until(self._answers)

    def validate(self, reference: str) -> Result:
        """Let crane read a whole image and check all digests and diff ids; a failure is an AssertionError."""
        return run([str(_program()), "validate", "--insecure", "--remote", reference])

    def _answers(self) -> bool:
        try:
            return urllib3.request("GET", f"http://{self.host}/v2/", retries=False, timeout=5).status == HTTPStatus.OK
        except urllib3.exceptions.HTTPError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.__exit__()


def start_crane_registry() -> CraneRegistry:
    """A registry for the tests."""
    need("unshare", "setpriv", root=True)
    return CraneRegistry()


def _program() -> Path:
    """Crane, unpacked from Debian forky; of libraries it needs the C library alone, an older one does."""
    return kept("crane", lambda path: mmdebstrap(path, "forky", ["crane"], "--variant=extract")) / "usr/bin/crane"
