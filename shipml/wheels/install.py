"""Which files a wheel becomes in the image: what an installer would write.

PyPA "Binary distribution format" (PEP 427), "Recording installed projects" (PEP 627), "Direct URL origin" (PEP 610).

Differences from pip, on purpose: bytecode that a wheel brings along is left out (ours is made for the interpreter that
runs), and there is no REQUESTED, since it would make a package's layer depend on who asked for it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from shipml.facts.plan import PREFIX, LockedWheel
from shipml.oci.manifest import canonical_json
from shipml.wheels.archive import Archive, Entry
from shipml.wheels.metadata import (
    EntryPoint,
    Metadata,
    read_metadata,
    refuse,
)

__all__ = ["Placement", "Target", "place", "placement_of", "record_bytes", "site_packages"]

_INTERPRETER = f"/{PREFIX}/bin/python"
_REWRITTEN_LIMIT_BYTES = 16 << 20
_TEST_FOLDERS = frozenset({"tests", "test"})
_SHEBANG = b"#!python"


@dataclass(frozen=True, slots=True)
class Target:
    """One file of the image that comes from a wheel."""

    path: str
    """Relative to the image's root."""
    executable: bool
    entry: Entry | None
    """The wheel's file that it is a copy of, …"""
    data: bytes | None = None
    """… or its content, where it is made here or was rewritten."""


@dataclass(frozen=True, slots=True)
class Placement:
    """All that a wheel puts into the image, but for bytecode and RECORD."""

    wheel: LockedWheel
    archive: Archive
    metadata: Metadata
    targets: tuple[Target, ...]
    """Sorted by path."""
    modules: tuple[tuple[Entry, str], ...]
    """Python files to compile, with their path in the image, sorted by it."""
    record_path: str
    unlike_record: tuple[str, ...] = ()
    """Scripts that were rewritten, and differed from the wheel's RECORD before."""


def site_packages(python: str) -> str:
    """Where packages lie in the image, relative to its root, for a minor version as "3.11"."""
    return f"{PREFIX}/lib/python{python}/site-packages"


def placement_of(archive: Archive, wheel: LockedWheel, *, python: str) -> Placement:
    """Read a wheel and decide where each of its files goes.

    Raises:
        UntrustedInputError: the wheel is broken, hostile, or not the one that the lock names.
    """
    metadata = read_metadata(archive, wheel)
    site = site_packages(python)
    targets: dict[str, Target] = {}
    modules: list[tuple[Entry, str]] = []
    unlike_record: list[str] = []
    for point in metadata.entry_points:
        path = f"{PREFIX}/bin/{point.name}"
        targets[path] = Target(path, executable=True, entry=None, data=_script(point))
    generated = frozenset(targets)
    for entry in metadata.files:
        folders = entry.name.split("/")[:-1]
        if "__pycache__" in folders:
            continue
        path, scheme = place(entry.name, metadata.dist_info, wheel, python=python)
        if path in generated:
            continue  # as pip: the entry point makes this script
        if path in targets:
            raise refuse(wheel.filename, f"two of its files would become /{path}")
        targets[path] = _copied(archive, metadata, entry, path, scheme, unlike_record=unlike_record)
        if path.startswith(f"{site}/") and path.endswith(".py") and not _TEST_FOLDERS.intersection(folders):
            modules.append((entry, path))
    for name, data in _installer_files(wheel).items():
        path = f"{site}/{metadata.dist_info}/{name}"
        targets[path] = Target(path, executable=False, entry=None, data=data)
    _check_tree(targets, wheel)
    return Placement(
        wheel,
        archive,
        metadata,
        tuple(targets[path] for path in sorted(targets)),
        tuple(sorted(modules, key=lambda module: module[1])),
        f"{site}/{metadata.dist_info}/RECORD",
        tuple(unlike_record),
    )


def place(name: str, dist_info: str, wheel: LockedWheel, *, python: str) -> tuple[str, str]:
    """Where the wheel's file `name` goes (relative to the image's root), and its scheme."""
    top, _, rest = name.partition("/")
    if not rest or not top.endswith(".data") or not _same_project(top, dist_info):
        return f"{site_packages(python)}/{name}", "purelib"
    scheme, _, below = rest.partition("/")
    folders = {
        "purelib": site_packages(python),
        "platlib": site_packages(python),
        "scripts": f"{PREFIX}/bin",
        "data": PREFIX,
        "headers": f"{PREFIX}/include/site/python{python}/{wheel.name}",
    }
    if scheme not in folders or not below:
        raise refuse(wheel.filename, f"{name} belongs to no installation scheme")
    path = f"{folders[scheme]}/{below}"
    if path.startswith(f"{PREFIX}/lib64/"):  # lib64 is a link to lib, as venv makes it
        path = f"{PREFIX}/lib/{path.removeprefix(f'{PREFIX}/lib64/')}"
    return path, scheme


def _same_project(data_folder: str, dist_info: str) -> bool:
    def key(folder: str, suffix: str) -> tuple[str, str]:
        name, _, version = folder.removesuffix(suffix).rpartition("-")
        return canonicalize_name(name), version

    return key(data_folder, ".data") == key(dist_info, ".dist-info")


def _copied(
    archive: Archive, metadata: Metadata, entry: Entry, path: str, scheme: str, *, unlike_record: list[str]
) -> Target:
    if scheme != "scripts":
        return Target(path, entry.executable, entry)
    if not archive.start(entry, len(_SHEBANG)).startswith(_SHEBANG):
        return Target(path, executable=True, entry=entry)
    data = archive.read(entry, limit_bytes=_REWRITTEN_LIMIT_BYTES)
    if not metadata.agrees(archive, entry, hashlib.sha256(data).hexdigest()):
        unlike_record.append(entry.name)
    _, _, rest = data.partition(b"\n")
    return Target(path, executable=True, entry=None, data=f"#!{_INTERPRETER}\n".encode() + rest)


def _script(point: EntryPoint) -> bytes:
    name = point.attribute.partition(".")[0]
    return (
        f"#!{_INTERPRETER}\n"
        "import sys\n"
        f"from {point.module} import {name}\n"
        'if __name__ == "__main__":\n'
        f"    sys.exit({point.attribute}())\n"
    ).encode()


def _installer_files(wheel: LockedWheel) -> Mapping[str, bytes]:
    files = {"INSTALLER": b"shipml\n"}
    if wheel.direct:
        parts = urllib.parse.urlsplit(wheel.url)
        # A path on the build machine would make the image depend on it, and tell it: the file's name is enough.
        url = f"file:///{parts.path.rpartition('/')[2]}" if parts.scheme == "file" else wheel.url
        archive_info = {"hash": f"sha256={wheel.digest.hex}", "hashes": {"sha256": wheel.digest.hex}}
        files["direct_url.json"] = canonical_json({"archive_info": archive_info, "url": url})
    return files


def _check_tree(targets: Mapping[str, Target], wheel: LockedWheel) -> None:
    """Refuse a file where another has a folder, and what would replace the environment's own files."""
    own = {f"{PREFIX}/{name}" for name in ("pyvenv.cfg", "lib64", "bin/python", "bin/python3")}
    for path in targets:
        if path in own or path.startswith(f"{PREFIX}/bin/python3."):
            raise refuse(wheel.filename, f"it would replace /{path}")
        parent = path.rpartition("/")[0]
        while len(parent) > len(PREFIX):
            if parent in targets:
                raise refuse(wheel.filename, f"/{parent} would be both a file and a folder")
            parent = parent.rpartition("/")[0]


def record_bytes(placement: Placement, hashes: Mapping[str, tuple[str, int]], bytecode: Iterable[str]) -> bytes:
    """The RECORD of the installed wheel, sorted by path.

    Args:
        placement: the wheel.
        hashes: SHA-256 (hex) and size in bytes of each file, by its path in the image.
        bytecode: paths of its .pyc files, listed without hash as the specification allows and pip does.
    """
    site = placement.record_path.removesuffix(f"/{placement.metadata.dist_info}/RECORD")
    rows = [(_from(site, path), f"sha256={_base64(digest)}", str(size)) for path, (digest, size) in hashes.items()]
    rows += [(_from(site, path), "", "") for path in (*bytecode, placement.record_path)]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    return text.getvalue().encode()


def _base64(sha256_hex: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(sha256_hex)).rstrip(b"=").decode()


def _from(site: str, path: str) -> str:
    """`path` relative to site-packages, as RECORD writes it."""
    if path.startswith(f"{site}/"):
        return path[len(site) + 1 :]
    below = path[len(PREFIX) + 1 :]
    return "../" * 3 + below
