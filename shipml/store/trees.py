"""An image's layers as folders, each unpacked once a store."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shipml.errors import UntrustedInputError
from shipml.events import Emit, step
from shipml.oci.image import Layer
from shipml.oci.unpack import OPAQUE_ATTRIBUTE, unpack_layer
from shipml.store import Store
from shipml.text import counted

__all__ = ["layer_trees", "read_small_file"]

_SMALL_FILE_BYTES = 1 << 20


def layer_trees(layers: Sequence[Layer], store: Store, emit: Emit) -> list[Path]:
    """The folders that together are the root file system of an image with these layers, topmost first.

    A layer that comes twice is given once, at its upper place, since the kernel refuses the same folder twice: what the
    lower one shows or hides, the upper one does too.

    Raises:
        UntrustedInputError: a layer is broken or hostile, or is not what its diff id says.
    """
    once = list({layer.diff_id: layer for layer in reversed(layers)}.values())
    missing = [layer for layer in once if not (store.home / "roots" / _name(layer)).is_dir()]
    if missing:
        with (
            step(emit, "unpack", counted(len(missing), "layer")) as unpacking,
            ThreadPoolExecutor(os.cpu_count()) as pool,
        ):
            total_bytes, done_bytes = sum(layer.size_bytes for layer in missing), 0
            largest_first = sorted(missing, key=lambda layer: -layer.size_bytes)
            for layer, _ in zip(largest_first, pool.map(lambda one: _tree(one, store), largest_first), strict=True):
                done_bytes += layer.size_bytes
                unpacking.progress(done_bytes, total_bytes)
            unpacking.detail = counted(len(missing), "layer")
    return [_tree(layer, store) / "root" for layer in once]


def read_small_file(trees: list[Path], path: str) -> str:
    """The text of a regular file of the image, of at most 1 MiB; "" where there is none.

    Args:
        trees: as `layer_trees` gives them.
        path: relative to the root. No symbolic link is followed: what it leads to would not be the image's.
    """
    for tree in trees:
        place, mode, opaque = tree, stat.S_IFDIR, False
        for part in path.split("/"):
            place /= part
            opaque = opaque or _is_opaque(place.parent)
            try:
                mode = place.lstat().st_mode
            except FileNotFoundError:
                mode = 0
            if not stat.S_ISDIR(mode):
                break
        if place == tree / path and stat.S_ISREG(mode):
            with place.open("rb") as file:
                return file.read(_SMALL_FILE_BYTES).decode(errors="replace")
        if mode or opaque:  # a whiteout, a link or something else hides what lower layers have
            return ""
    return ""


def _is_opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False


def _name(layer: Layer) -> str:
    """As root the owners are kept, so those trees are others."""
    return f"layer-{layer.diff_id.hex}" + ("" if os.geteuid() == 0 else f"-of-{os.geteuid()}")


def _tree(layer: Layer, store: Store) -> Path:
    def make(folder: Path) -> None:
        folder.chmod(0o700)  # closed to other users of the machine: the root may hold set-user-ID programs
        root = folder / "root"
        root.mkdir(mode=0o755)
        root.chmod(0o755)
        with layer.open() as stream:
            found = unpack_layer(stream, layer.media_type, root)
        if found != layer.diff_id:
            raise UntrustedInputError(
                f"layer {layer.digest} contains {found}, not {layer.diff_id} as the image's config says"
            )

    return store.tree(_name(layer), make)
