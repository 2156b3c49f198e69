"""Packages of Debian as a layer on top of an image of a registry, as dpkg would have unpacked them there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shipml.debian.deb import DebMember, read_control, read_members
from shipml.debian.generated_files import alternatives, shell_link
from shipml.debian.loader_cache import MULTIARCH, cache_bytes
from shipml.debian.recipe import is_left_out
from shipml.debian.root_file_system import RootFileSystem, Sink
from shipml.errors import UntrustedInputError
from shipml.facts.plan import ImageBasePin

__all__ = ["Below", "write_over"]

_DPKG = "var/lib/dpkg"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Below:
    """What the image has."""

    entries: Mapping[str, str]
    """As `RootFileSystem` notes them."""
    libraries: Mapping[str, str]
    """For the loader: name → absolute path."""
    status: str
    """Of dpkg; "" where entries lie in status.d."""


def write_over(sink: Sink, pin: ImageBasePin, debs: Mapping[str, Path], below: Below) -> None:
    """Write the layer of the pin's packages into `sink`.

    Raises:
        UntrustedInputError: a package is broken, or does not fit on the image.
    """
    architecture = pin.platform.architecture
    root = RootFileSystem(sink, architecture, below=below.entries, libraries=below.libraries)
    python = ".".join(pin.python.split(".")[:2])
    stanzas: dict[str, str] = {}
    certificates: list[tuple[str, bytes]] = []
    for package in pin.extra_packages:
        deb, written = debs[package.name], []
        for member in read_members(deb, package.name):
            if member.path.startswith("usr/share/ca-certificates/") and member.path.endswith(".crt"):
                certificates.append((member.path, member.data))
            if not is_left_out(package.name, member.path, python):
                written.append(_add(root, sink, member))
        control = read_control(deb, package.name)
        stanzas[package.name] = _stanza(control.get("control", b""))
        _add_lists(root, package.name, written, control.get("md5sums", b""))
    _add_generated(root, architecture, certificates)
    _add_status(root, stanzas, below.status)
    cache = cache_bytes(root.libraries, architecture)
    root.add(DebMember("etc/ld.so.cache", "file", 0o644, data=cache), replace=True)


def _add(root: RootFileSystem, sink: Sink, member: DebMember) -> str:
    """Add a member where the image has its folders; returns its path there. What the image has is replaced."""
    path = _place(root.entries, member.path)
    target = _place(root.entries, member.target) if member.kind == "hardlink" else member.target
    noted = root.entries.get(path, "")
    if noted.startswith("d:") and member.kind == "symlink":
        return path  # dpkg, too, leaves a folder where a package has a link to one
    if noted.startswith("d:") and member.kind != "directory":
        raise UntrustedInputError(f"/{path} is a folder in the image and a file in a package")
    is_new = bool(noted) and member.kind != "directory" and path not in sink
    root.add(replace(member, path=path, target=target), replace=is_new)
    return path


def _place(entries: Mapping[str, str], path: str) -> str:
    """`path` with links of the image among its folders followed; where /usr is not merged, below / if it is there."""
    apart = path.removeprefix("usr/")
    if apart != path and apart in entries and not entries.get(apart.partition("/")[0], "").startswith("l:"):
        path = apart
    done, todo, links = "", path.split("/"), 0
    while len(todo) > 1:
        step = todo.pop(0)
        done = posixpath.normpath(posixpath.join(done, step))
        noted = entries.get(done, "")
        if noted.startswith("l:"):
            links += 1
            if links > _MOST_LINKS:
                raise UntrustedInputError(f"/{path} lies behind links without end")
            target = noted.removeprefix("l:")
            base = "/" if target.startswith("/") else posixpath.dirname(done)
            resolved = posixpath.normpath(posixpath.join("/", base, target)).strip("/")
            todo, done = [*filter(None, resolved.split("/")), *todo], ""
    return posixpath.join(done, todo[0])


def _stanza(control: bytes) -> str:
    """The entry of an installed package in dpkg's status."""
    first, _, rest = control.decode("utf-8", "replace").strip("\n").partition("\n")
    return f"{first}\nStatus: install ok installed\n{rest}\n"


def _add_lists(root: RootFileSystem, name: str, paths: Iterable[str], sums: bytes) -> None:
    """The files of a package, as dpkg keeps them."""
    lines = "".join(f"/{path}\n" for path in sorted({".", *paths}))
    for path, data in ((f"{name}.list", lines.encode()), (f"{name}.md5sums", sums)):
        if data:
            place = f"{_DPKG}/info/{path}"
            root.add(DebMember(place, "file", 0o644, data=data), replace=place in root.entries)


def _add_generated(root: RootFileSystem, architecture: str, certificates: list[tuple[str, bytes]]) -> None:
    """What maintainer scripts would make: links of alternatives, a shell's name, the bundle of certificates."""
    folder = f"usr/lib/{MULTIARCH[architecture]}"
    has_shell = "bin/sh" in root.entries
    for owned in (*(() if has_shell else shell_link(root.entries)), *alternatives(root.entries, folder)):
        root.add(owned.member)
        name = owned.member.path.rpartition("/")[2]
        if ".so" in name:
            root.libraries.setdefault(name, f"/{folder.removeprefix('usr/')}/{name}")
    if certificates and _CERTIFICATES not in root.entries:
        bundle = b"".join(data.rstrip(b"\n") + b"\n" for _, data in sorted(certificates))
        root.add(DebMember(_CERTIFICATES, "file", 0o644, data=bundle))


def _add_status(root: RootFileSystem, stanzas: Mapping[str, str], status: str) -> None:
    """The status of dpkg with the packages, in the form that the image has."""
    if not status:
        for name, text in stanzas.items():
            path = f"{_DPKG}/status.d/{name}"
            root.add(DebMember(path, "file", 0o644, data=text.encode()), replace=path in root.entries)
        return
    kept = [text for text in status.strip("\n").split("\n\n") if _name_of(text) not in stanzas]
    text = "\n".join(f"{one.strip(chr(10))}\n" for one in (*kept, *stanzas.values()))
    root.add(DebMember(f"{_DPKG}/status", "file", 0o644, data=text.encode()), replace=True)


def _name_of(stanza: str) -> str:
    match = re.search(r"^Package: (\S+)$", stanza, re.MULTILINE)
    return match[1] if match else ""
