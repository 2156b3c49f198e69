"""A shell for images that have none: Debian's static busybox, in a folder of the store that goes beside the image."""

from __future__ import annotations

import os
from pathlib import Path

from shipml.debian.assemble import fetch_packages
from shipml.debian.deb import read_members
from shipml.debian.pin import package_source, pin_package
from shipml.errors import UnavailableError
from shipml.facts.pythons import SUITES
from shipml.oci.manifest import Platform
from shipml.session import Session

__all__ = ["TOOLS_FOLDER", "busybox_tree"]

TOOLS_FOLDER = ".shipml"
"""Where they are, below the root."""
_PACKAGE = "busybox-static"
_PATHS = ("bin/busybox", "usr/bin/busybox")
_APPLETS = (
    "awk basename cat chmod cp cut date dd df diff dirname du echo env expr false find grep gunzip gzip head hexdump"
    " hostname id ip kill less ln ls md5sum mkdir more mount mv nc netstat nslookup od ping printf ps pwd readlink"
    " realpath rm rmdir sed seq sh sha256sum sleep sort stat strings stty tail tar tee test timeout top touch tr true"
    " tty uname uniq unzip uptime vi watch wc wget which whoami xargs xxd zcat"
)


def busybox_tree(session: Session) -> Path:
    """The folder that holds `.shipml/busybox` and links to it; fetched once a store.

    Raises:
        UnavailableError: Debian has none for this machine.
        TryAgainError: the mirror cannot be reached.
        UntrustedInputError: what it sends is not what Debian has signed.
    """
    platform = Platform.of_this_machine()

    def make(folder: Path) -> None:
        folder.chmod(0o700)
        root = folder / "root"
        tools = root / TOOLS_FOLDER
        tools.mkdir(parents=True)
        for made in (root, tools):
            made.chmod(0o755)
        (tools / "busybox").write_bytes(_busybox(platform, session))
        (tools / "busybox").chmod(0o755)
        for name in _APPLETS.split():
            (tools / name).symlink_to("busybox")

    return session.store.tree(f"busybox-1-{platform.architecture}-of-{os.geteuid()}", make) / "root"


def _busybox(platform: Platform, session: Session) -> bytes:
    found = package_source(SUITES[0], platform, session=session).find(_PACKAGE)
    if not found:
        raise UnavailableError(
            f"there is no shell for {platform}: debian:{SUITES[0].name} has no {_PACKAGE}",
            hint="build an image with a shell: shipml build --with-shell",
        )
    pin = pin_package(found[0], "for shipml shell")
    deb = fetch_packages([pin], session=session)[pin.name]
    data = next((member.data for member in read_members(deb, pin.name) if member.path in _PATHS and member.data), None)
    if data is None:
        raise UnavailableError(
            f"{_PACKAGE} {pin.version} has no busybox", hint="build an image with a shell: shipml build --with-shell"
        )
    return data
