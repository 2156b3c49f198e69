"""What the entries of layers' tars must be like (OCI image-spec 1.1, layer.md), over a whole stack of layers."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator

__all__ = ["FileSystem", "LayerEntries"]

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_ID_LIMIT = (1 << 32) - 1
_MODE_LIMIT = 0o7777
_LATEST_SECONDS = 1 << 33
"""The last second that a plain tar header can say: the year 2242."""


class FileSystem:
    """The kinds of all paths, after the layers that were added so far."""

    def __init__(self) -> None:
        self.kinds: dict[str, bytes] = {"": tarfile.DIRTYPE}

    def new_layer(self) -> LayerEntries:
        """Begin the next layer."""
        return LayerEntries(self)

    def remove(self, path: str) -> None:
        """Forget a path and all below it."""
        for known in [known for known in self.kinds if known == path or known.startswith(f"{path}/")]:
            del self.kinds[known]


class LayerEntries:
    """The entries of one layer, in their order."""

    def __init__(self, files: FileSystem) -> None:
        self._files = files
        self._seen: set[str] = set()

    def add(self, entry: tarfile.TarInfo) -> list[str]:
        """Take the next entry; returns what is wrong with it."""
        path = posixpath.normpath(entry.name)
        path = "" if path == "." else path
        problems = [f"{entry.name!r} {problem}" for problem in self._problems(entry, path)]
        self._seen.add(path)
        name = posixpath.basename(path)
        if name == _OPAQUE:
            return problems
        if name.startswith(_WHITEOUT):
            self._files.remove(posixpath.join(posixpath.dirname(path), name.removeprefix(_WHITEOUT)))
        else:
            self._files.kinds[path] = tarfile.REGTYPE if entry.isreg() or entry.islnk() else entry.type
        return problems

    def _problems(self, entry: tarfile.TarInfo, path: str) -> Iterator[str]:
        yield from self._path_problems(entry, path)
        yield from self._kind_problems(entry, path)
        if not 0 <= entry.uid < _ID_LIMIT or not 0 <= entry.gid < _ID_LIMIT:
            yield f"belongs to {entry.uid}:{entry.gid}"
        if entry.mode & ~_MODE_LIMIT:
            yield f"has the mode {entry.mode:o}"
        if not 0 <= entry.mtime < _LATEST_SECONDS:
            yield f"was modified at {entry.mtime}"

    def _path_problems(self, entry: tarfile.TarInfo, path: str) -> Iterator[str]:
        if entry.name.startswith("/"):
            yield "is absolute"
        if ".." in entry.name.split("/"):
            yield "leads out with .."
        if "\0" in entry.name or not entry.name:
            yield "is not a name"
        if path in self._seen:
            yield "stands twice"
        kinds = self._files.kinds
        parent = posixpath.dirname(path)
        if kinds.get(parent) not in (tarfile.DIRTYPE, tarfile.SYMTYPE):
            yield "comes without or before its parent folder"
        name = posixpath.basename(path)
        if name.startswith(_WHITEOUT) and name != _OPAQUE:
            hidden = posixpath.join(parent, name.removeprefix(_WHITEOUT))
            if hidden not in kinds or hidden in self._seen:
                yield "hides what no lower layer has"
            if not entry.isreg() or entry.size:
                yield "is a whiteout and not an empty file"

    def _kind_problems(self, entry: tarfile.TarInfo, path: str) -> Iterator[str]:
        if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
            yield "is not a file, folder or link"
        if entry.sparse:
            yield "is sparse"
        if entry.islnk() and self._files.kinds.get(posixpath.normpath(entry.linkname)) != tarfile.REGTYPE:
            yield f"is a second name for {entry.linkname!r}, which is not a file before it"
        if entry.issym() and not entry.linkname:
            yield "is a link to nothing"
        if path not in self._seen and entry.isdir() and self._files.kinds.get(path) == tarfile.SYMTYPE:
            yield "is a folder in place of a lower layer's link"
