"""Files that no package brings because maintainer scripts make them (pure): accounts, links, time zone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shipml.debian.deb import DebMember
from shipml.facts.accounts import NOBODY_ID, PASSWD
from shipml.facts.plan import USER_ID

__all__ = ["Owned", "alternatives", "base_furnishing", "merged_links", "shell_link"]

_GROUP = f"""\
root:x:0:
tty:x:5:
staff:x:50:
nobody:x:{NOBODY_ID}:
nonroot:x:{USER_ID}:
"""
_NSSWITCH = """\
passwd:     files
group:      files
shadow:     files
hosts:      files dns
networks:   files
protocols:  files
services:   files
ethers:     files
rpc:        files
"""
_ALTERNATIVES = ("openblas-pthread", "openblas-openmp", "openblas-serial", "blis-pthread", "atlas", "blas", "lapack")
"""Folders whose libraries update-alternatives links into the folder above, best first."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A member and the number of its owner."""

    member: DebMember
    owner: int = 0


def merged_links(architecture: str) -> list[Owned]:
    """/bin, /sbin, /lib as links into /usr; packages of bookworm and older still ship files below them."""
    names = ("bin", "lib", "lib64", "sbin") if architecture == "amd64" else ("bin", "lib", "sbin")
    return [
        *(Owned(DebMember(f"usr/{name}", "directory", 0o755)) for name in names),
        *(Owned(DebMember(name, "symlink", 0o777, f"usr/{name}")) for name in names),
    ]


def base_furnishing(python: str, certificates: bytes) -> list[Owned]:
    """What turns the packages of a base into a root file system; `python` is the minor version."""
    return [
        *(Owned(_folder(path, mode)) for path, mode in _FOLDERS),
        Owned(_folder("home/nonroot", 0o755), USER_ID),
        Owned(_file("etc/group", _GROUP)),
        Owned(_link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")),
        Owned(_file("etc/nsswitch.conf", _NSSWITCH)),
        Owned(_file("etc/passwd", PASSWD)),
        Owned(_file("etc/timezone", "Etc/UTC\n")),
        Owned(DebMember("etc/ssl/certs/ca-certificates.crt", "file", 0o644, data=certificates)),
        Owned(_link("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")),
        Owned(_link("usr/lib/ssl/certs", "/etc/ssl/certs")),
        Owned(_link("usr/bin/python3", f"python{python}")),
        Owned(_link("var/lock", "/run/lock")),
        Owned(_link("var/run", "/run")),
    ]


_FOLDERS = (
    ("dev", 0o755),
    ("home", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr/local/bin", 0o755),
    ("usr/local/lib", 0o755),
    ("var/cache", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
)


def shell_link(paths: Iterable[str]) -> list[Owned]:
    """/bin/sh, where a shell is there and no package brings the link."""
    known = set(paths)
    shell = next((name for name in ("dash", "bash") if f"usr/bin/{name}" in known), None)
    return [Owned(_link("usr/bin/sh", shell))] if shell and "usr/bin/sh" not in known else []


def alternatives(paths: Iterable[str], folder: str) -> list[Owned]:
    """The links that update-alternatives would make for libraries in `folder`."""
    known = set(paths)
    links: dict[str, Owned] = {}
    for provider in _ALTERNATIVES:
        inside = f"{folder}/{provider}/"
        for name in sorted(path.removeprefix(inside) for path in known if path.startswith(inside)):
            if f"{folder}/{name}" not in known and "/" not in name:
                links.setdefault(name, Owned(_link(f"{folder}/{name}", f"{provider}/{name}")))
    return list(links.values())


def _file(path: str, text: str) -> DebMember:
    return DebMember(path, "file", 0o644, data=text.encode())


def _link(path: str, target: str) -> DebMember:
    return DebMember(path, "symlink", 0o777, target)


def _folder(path: str, mode: int) -> DebMember:
    return DebMember(path, "directory", mode)
