"""What is costly to make: file systems of Debian packages, built once and kept outside the repository."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.peers.need import need

__all__ = ["cache_folder", "debian_mirror", "engine_28_root", "kept", "mmdebstrap"]

_KEPT_SECONDS = 30 * 24 * 3600
_DEFAULT_MIRROR = "http://ftp.debian.org/debian"


def cache_folder() -> Path:
    """Where things are kept from one session to the next: SHIPML_TEST_CACHE, else the user's cache folder."""
    folder = os.environ.get("SHIPML_TEST_CACHE")
    path = Path(folder) if folder else Path.home() / ".cache" / "shipml-tests"
    path.mkdir(parents=True, exist_ok=True)
    return path


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The file or folder `name` of the cache, made by `make(path)` if missing or a month old; seen only when whole."""
    path = cache_folder() / name
    with (cache_folder() / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and time.time() - path.stat().st_mtime < _KEPT_SECONDS:
            return path
        draft = path.with_name(f"{name}.draft")
        for leftover in (draft, path):
            _remove(leftover)
        make(draft)
        os.utime(draft)
        draft.rename(path)
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def debian_mirror() -> str:
    """The mirror that SHIPML_DEBIAN_MIRROR names, else the one that apt uses here, else Debian's own."""
    if mirror := os.environ.get("SHIPML_DEBIAN_MIRROR"):
        return mirror
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listing.stdout.splitlines():
        label, _, uri = line.partition(" ")
        if label == "Debian":
            return uri.rstrip("/")
    return _DEFAULT_MIRROR


def mmdebstrap(target: Path, suite: str, packages: Sequence[str], *options: str) -> None:
    """Install Debian packages into a new folder, or into a new archive where `target` ends in `.tar`."""
    need("mmdebstrap", root=True)
    made = subprocess.run(
        ["mmdebstrap", "--quiet", '--aptopt=Acquire::Check-Valid-Until "false"', "--variant=minbase",
         f"--include={','.join(packages)}", *options, suite, str(target), debian_mirror()],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(target.parent)},
    )  # fmt: skip
    if made.returncode != 0:
        raise RuntimeError(f"mmdebstrap could not make {suite} with {packages}:\n{made.stderr[-2000:]}")


def engine_28_root() -> Path:
    """A folder that holds Debian forky with Docker Engine 28 and buildx: 20 seconds to make, 500 MB."""
    packages = ["docker.io", "docker-cli", "docker-buildx", "iptables", "ca-certificates"]
    return kept("engine-28", lambda path: mmdebstrap(path, "forky", packages))
