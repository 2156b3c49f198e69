"""An image of a registry unpacked into one folder, to look at what it has. No program of it is run from here.

Nothing in the folder is followed out of it: links are resolved as they are inside the image.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from pathlib import Path

from shipml.events import Emit
from shipml.folders import remove_tree
from shipml.oci.digest import Digest
from shipml.oci.image import Layer
from shipml.oci.unpack import OPAQUE_ATTRIBUTE
from shipml.store import Store
from shipml.store.trees import layer_trees

__all__ = ["image_tree", "inside"]

_MOST_LINKS = 40
"""As Linux (ELOOP)."""


def image_tree(digest: Digest, layers: Sequence[Layer], store: Store, emit: Emit) -> Path:
    """The root file system of the image `digest` with these layers (oldest first), unpacked once into the store.

    Files share their bytes with the layers' own folders.

    Raises:
        UntrustedInputError: a layer is broken or hostile.
        ShipmlError: a layer is not available, as the class says.
    """
    name = f"image-{digest.hex}" + ("" if os.geteuid() == 0 else f"-of-{os.geteuid()}")

    def make(folder: Path) -> None:
        folder.chmod(0o700)  # as the trees that it is made of
        root = folder / "root"
        root.mkdir()
        for tree in reversed(layer_trees(layers, store, emit)):
            _lay_over(root, tree)

    return store.tree(name, make) / "root"


def _lay_over(target: Path, upper: Path) -> None:
    """Put the unpacked layer `upper` over the folder `target`, as overlayfs would show both."""
    if _is_opaque(upper):
        for entry in list(os.scandir(target)):
            remove_tree(Path(entry.path))
    for entry in os.scandir(upper):
        place, mode = target / entry.name, entry.stat(follow_symlinks=False).st_mode
        is_folder = stat.S_ISDIR(mode)
        if not (is_folder and place.is_dir() and not place.is_symlink()):
            remove_tree(place)
            if is_folder:
                place.mkdir()
        if is_folder:
            _lay_over(place, Path(entry.path))
        elif stat.S_ISLNK(mode):
            place.symlink_to(Path(entry.path).readlink())
        elif stat.S_ISREG(mode):
            os.link(entry.path, place, follow_symlinks=False)


def _is_opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False


def inside(root: Path, path: str) -> str | None:
    """Where `path` leads inside the image at `root`, relative to it, links followed; None where nothing is there."""
    todo = [part for part in reversed(path.split("/")) if part]
    found: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == ".":
            continue
        if part == "..":
            found = found[:-1]
            continue
        place = root.joinpath(*found, part)
        try:
            mode = place.lstat().st_mode
        except OSError:
            return None
        if not stat.S_ISLNK(mode):
            found.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        target = place.readlink().as_posix()
        if target.startswith("/"):
            found = []
        todo += [step for step in reversed(target.split("/")) if step]
    return posixpath.join(*found) if found else ""
