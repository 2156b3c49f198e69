"""Real Docker Engines: 20.10 from this machine's packages (Debian 12), 28.5 from Debian forky in a folder.

They have no bridge network and leave the machine's firewall and forwarding alone: containers run with
`--network host` or `none`, builds with `--network host`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from tests.peers.cache import engine_28_root
from tests.peers.daemon import Daemon, peer_folder
from tests.peers.need import need

__all__ = ["Engine", "ImageStore", "Result", "engine_28", "engine_2010", "run"]

ImageStore = Literal["overlay2", "containerd"]
_OWN = ("--bridge", "none", "--iptables=false", "--ip-masq=false", "--ip-forward=false", "--log-level", "warn")
_QUICK_STOP = ("--shutdown-timeout", "1")
"""Seconds that containers have to end when the engine stops, instead of 15."""
_BUILDX = "usr/libexec/docker/cli-plugins/docker-buildx"


@dataclass(frozen=True, slots=True)
class Result:
    """What a program printed and how it ended."""

    exit_code: int
    stdout: str
    stderr: str


def run(argv: Sequence[str], *, timeout_seconds: float = 180, **environment: str) -> Result:
    """Run a program to its end.

    Raises:
        AssertionError: it failed; with what it printed.
    """
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    result = Result(done.returncode, done.stdout, done.stderr)
    if result.exit_code != 0:
        raise AssertionError(f"{' '.join(argv)} ended with {result.exit_code}:\n{result.stdout}\n{result.stderr}")
    return result


class Engine:
    """A running Docker Engine; `with` stops it and removes all that it stored."""

    def __init__(self, name: str, *options: str, root: Path = Path("/"), mirror: str | None = None) -> None:
        """Start `dockerd` of the file system `root`; `mirror` (URL) stands in for Docker Hub."""
        self.folder = peer_folder(name)
        self.root = root
        self.socket = self.folder / "s"
        mirrors = ("--registry-mirror", mirror) if mirror else ()
        self._daemon = Daemon(
            self.folder,
            ["dockerd", "-H", self.host, "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec",
             "--pidfile", f"{self.folder}/pid", *_OWN, *_QUICK_STOP, *mirrors, *options],
            root=root,
        )  # fmt: skip
        self._daemon.wait_until(self._answers)

    @property
    def host(self) -> str:
        """What DOCKER_HOST has to say."""
        return f"unix://{self.socket}"

    @cached_property
    def version(self) -> str:
        """As the engine itself says."""
        return self.docker("version", "--format", "{{.Server.Version}}").stdout.strip()

    def docker(self, *arguments: str, timeout_seconds: float = 180) -> Result:
        """Run the docker client of this machine against the engine; a failure is an AssertionError."""
        return run(["docker", *arguments], timeout_seconds=timeout_seconds, **self.environment)

    def buildx(self, *arguments: str, timeout_seconds: float = 600) -> Result:
        """Run the engine's own buildx (`build …`, `prune …`); only an engine with a file system of its own has one."""
        return run(self.buildx_argv(*arguments), timeout_seconds=timeout_seconds, **self.environment)

    def buildx_argv(self, *arguments: str) -> list[str]:
        """The command behind `buildx`: the program of the engine's file system, on that system's own libraries."""
        libraries = next(self.root.glob("usr/lib/*-linux-gnu"))
        loader = next(self.root.glob("usr/lib*/ld-linux-*.so.*"), None) or next(libraries.glob("ld-linux-*.so.*"))
        return [str(loader), "--library-path", str(libraries), str(self.root / _BUILDX), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that point a docker client at this engine, and away from the user's own settings."""
        return {"DOCKER_HOST": self.host, "DOCKER_CONFIG": f"{self.folder}/client"}

    def stop(self) -> None:
        """Stop it; what it stored stays until the `with` block ends."""
        self._daemon.stop()

    def _answers(self) -> bool:
        try:
            self.docker("version", timeout_seconds=10)
        except (AssertionError, subprocess.TimeoutExpired):
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.__exit__()


def engine_2010(mirror: str | None = None, *options: str) -> Engine:
    """Docker Engine 20.10 with the overlay2 store, or whatever version this machine's packages have.

    `options` are added to the daemon's command line.
    """
    need("dockerd", "docker", "iptables", "unshare", "setpriv", root=True)
    return Engine("20", "--storage-driver", "overlay2", *options, root=Path("/"), mirror=mirror)


def engine_28(store: ImageStore, mirror: str | None = None) -> Engine:
    """Docker Engine 28.5 with buildx and one of its two image stores."""
    need("docker", "unshare", "setpriv", root=True)
    options = {
        "overlay2": ("--storage-driver", "overlay2"),
        "containerd": ("--feature", "containerd-snapshotter=true"),
    }
    return Engine(f"28-{store}", *options[store], root=engine_28_root(), mirror=mirror)
