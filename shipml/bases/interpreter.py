"""A suite's own Python, run on this machine: from an unpacked base, through its own loader, without root."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from shipml.bases.own_python import ENVIRONMENT, OPTIONS, host_platform, installed
from shipml.debian.assemble import fetch_packages, write_base
from shipml.debian.loader_cache import MULTIARCH
from shipml.debian.pin import pin_base
from shipml.debian.recipe import RECIPE
from shipml.debian.root_file_system import FolderWriter
from shipml.facts.plan import BasePin
from shipml.facts.pythons import Suite
from shipml.session import Session
from shipml.wheels.interpreter import Interpreter

__all__ = ["interpreter_of", "unpacked_interpreter"]

_LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
_NOT_NEEDED = frozenset(
    ("base-files", "ca-certificates", "libc-bin", "libgomp1", "libsqlite3-0", "libstdc++6", "netbase", "tzdata")
)
"""To compile: a fifth of the bytes and half of the files."""


def interpreter_of(suite: Suite, *, session: Session) -> Interpreter:
    """A Python of the suite's minor version that runs here: on Linux the suite's own, else one on PATH.

    Raises:
        UnavailableError: not Linux, and no such Python is installed.
        Others: as `pin_base` and `base_layers`.
    """
    platform = host_platform()
    if platform is None:
        return installed(suite.python)
    # What compiles is not part of the image: a pin that is known is taken, also where the image's is made again.
    pin = pin_base(suite, platform, session=dataclasses.replace(session, upgrade=False))
    return unpacked_interpreter(pin, session=session)


def unpacked_interpreter(pin: BasePin, *, session: Session) -> Interpreter:
    """The Python of a pin for this machine's CPU, unpacked once into the store."""
    digests = "".join(package.digest.hex for package in pin.packages)
    name = hashlib.sha256(f"{RECIPE} {sorted(_NOT_NEEDED)} {digests}".encode()).hexdigest()[:16]

    def make(folder: Path) -> None:
        needed = dataclasses.replace(pin, packages=tuple(item for item in pin.packages if item.name not in _NOT_NEEDED))
        debs = fetch_packages(needed.packages, session=session)
        write_base(FolderWriter(folder), needed, debs, None)

    root = session.store.tree(f"interpreter-{pin.suite}-{pin.platform.architecture}-{name}", make)
    libraries = root / "usr" / "lib" / MULTIARCH[pin.platform.architecture]
    python = ".".join(pin.python.split(".")[:2])
    return Interpreter(
        argv=(
            str(libraries / _LOADERS[pin.platform.architecture]),
            "--library-path",
            str(libraries),
            str(root / "usr" / "bin" / f"python{python}"),
            *OPTIONS,
        ),
        environment={**ENVIRONMENT, "PYTHONHOME": str(root / "usr")},
        version=pin.python,
    )
