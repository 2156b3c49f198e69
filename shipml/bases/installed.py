"""What an image of a registry has of Debian: its packages as dpkg's status lists them, files, and libraries."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shipml.bases.image_pin import image_layers
from shipml.bases.image_tree import image_tree, inside
from shipml.debian.index import PackageRecord, parse_installed
from shipml.debian.loader_cache import MULTIARCH, is_library, read_cache
from shipml.facts.plan import ImageBasePin
from shipml.session import Session

__all__ = ["STATUS", "Installed", "installed_in"]

STATUS = "var/lib/dpkg/status"
_STATUS_FOLDER = "var/lib/dpkg/status.d"
_CACHE = "etc/ld.so.cache"
_READ_BYTES = 64 << 20
_MOST_ENTRIES = 5_000_000


@dataclass(frozen=True, slots=True)
class Installed:
    """An unpacked image, looked at."""

    root: Path
    packages: Mapping[str, PackageRecord]
    """By name; none where no list of packages can be read."""
    status: str
    """The text of dpkg's status; "" where the image has its entries in files of their own, as distroless images."""
    libraries: Mapping[str, str]
    """Those that the loader finds: name → absolute path."""

    def entries(self) -> dict[str, str]:
        """All paths, with what lies there, as `RootFileSystem` notes it; contents of files are not read."""
        found: dict[str, str] = {}
        for path, status, place in _walk(self.root):
            if stat.S_ISDIR(status.st_mode):
                found[path] = f"d:{stat.S_IMODE(status.st_mode):o}"
            elif stat.S_ISLNK(status.st_mode):
                found[path] = f"l:{place.readlink()}"
            else:
                found[path] = "f:"
            if len(found) > _MOST_ENTRIES:
                break
        return found


def installed_in(pin: ImageBasePin, *, session: Session) -> Installed:
    """What the image has; it is downloaded and unpacked, once.

    Raises:
        UntrustedInputError: a layer is broken or hostile.
        ShipmlError: a layer is not available, as the class says.
    """
    layers = image_layers(pin, session.store)
    root = image_tree(pin.digest, layers, session.store, session.emit)
    status = _read(root, STATUS).decode("utf-8", "replace")
    stanzas = [*status.split("\n\n"), *_stanzas_of_folder(root)]
    records = [record for record in map(parse_installed, stanzas) if record is not None]
    usable = [record for record in records if record.architecture in (pin.platform.architecture, "all")]
    libraries = read_cache(_read(root, _CACHE), pin.platform.architecture)
    return Installed(
        root,
        {record.name: record for record in usable},
        status,
        {**_libraries_of_folders(root, pin.platform.architecture), **libraries},
    )


def _stanzas_of_folder(root: Path) -> Iterator[str]:
    folder = inside(root, _STATUS_FOLDER)
    if folder is None or not (root / folder).is_dir():
        return
    for path in sorted((root / folder).iterdir()):
        if not path.name.endswith(".md5sums"):
            yield _read(root, f"{folder}/{path.name}").decode("utf-8", "replace")


def _libraries_of_folders(root: Path, architecture: str) -> dict[str, str]:
    """What lies in the folders that the loader looks into without a cache."""
    found: dict[str, str] = {}
    for folder in (f"lib/{MULTIARCH[architecture]}", "lib", "lib64"):
        for place in (inside(root, folder), inside(root, f"usr/{folder}")):
            names = os.listdir(root / place) if place is not None and (root / place).is_dir() else []  # noqa: PTH208
            for name in sorted(names):
                if is_library(f"usr/{folder}/{name}", architecture) and inside(root, f"{place}/{name}") is not None:
                    found.setdefault(name, f"/{folder}/{name}")
    return found


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result, Path]]:
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in os.scandir(root / folder):
            path = posixpath.join(folder, entry.name)
            status = entry.stat(follow_symlinks=False)
            yield path, status, Path(entry.path)
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)


def _read(root: Path, path: str) -> bytes:
    found = inside(root, path)
    place = None if found is None else root / found
    if place is None or place.is_symlink() or not place.is_file():
        return b""
    with place.open("rb") as file:
        return file.read(_READ_BYTES)
