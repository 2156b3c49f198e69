"""A root file system while it is put together: into a layer, or into a folder. Keeps what no two packages may share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from shipml.debian.deb import DebMember
from shipml.debian.loader_cache import is_library
from shipml.errors import UntrustedInputError
from shipml.wheels.elf import soname_of

__all__ = ["FolderWriter", "RootFileSystem", "Sink"]


class Sink(Protocol):
    """Where entries go: `LayerWriter` or `FolderWriter`."""

    def __contains__(self, path: str) -> bool:
        """Whether the path was written here."""

    def directory(self, path: str, *, mode: int = 0o755, owner: int = 0) -> None:
        """Add a folder."""

    def symlink(self, path: str, target: str, *, owner: int = 0) -> None:
        """Add a symbolic link."""

    def hardlink(self, path: str, target: str) -> None:
        """Add a second name for a path written here."""

    def file(self, path: str, data: bytes, *, mode: int = 0o644, owner: int = 0) -> None:
        """Add a file."""


class RootFileSystem:
    """Adds members to a sink, on top of `below`: the entries of the layer underneath, by path.

    An entry is noted as "d:<mode in octal>", "l:<target>" or "f:<SHA-256>".
    """

    def __init__(
        self,
        sink: Sink,
        architecture: str,
        *,
        below: Mapping[str, str] | None = None,
        libraries: Mapping[str, str] | None = None,
    ) -> None:
        self._sink = sink
        self._architecture = architecture
        self.entries: dict[str, str] = dict(below or {})
        self.libraries: dict[str, str] = dict(libraries or {})
        """For the loader's cache: name → absolute path."""

    def add(self, member: DebMember, *, owner: int = 0, replace: bool = False) -> None:
        """Add one entry, unless it is there already with the same content.

        Raises:
            UntrustedInputError: another file is there, or a parent is a symbolic link.
        """
        path, noted = member.path, self.entries.get(member.path)
        entry = self._note(member)
        if noted is not None and not replace:
            self._check_same(path, noted, entry)
            return
        self._add_parents(path)
        self.entries[path] = entry
        if member.kind == "directory":
            self._sink.directory(path, mode=member.mode, owner=owner)
        elif member.kind == "symlink":
            self._sink.symlink(path, member.target, owner=owner)
        elif member.kind == "hardlink":
            self._sink.hardlink(path, member.target)
        else:
            self._sink.file(path, member.data, mode=member.mode, owner=owner)
            self._register_library(path, member.data)

    def _register_library(self, path: str, data: bytes) -> None:
        if is_library(path, self._architecture) and (name := soname_of(data)) is not None:
            folder, _, file_name = path.rpartition("/")
            self.libraries.setdefault(name or file_name, f"/{folder.removeprefix('usr/')}/{name or file_name}")

    def _note(self, member: DebMember) -> str:
        if member.kind == "directory":
            return f"d:{member.mode:o}"
        if member.kind == "symlink":
            return f"l:{member.target}"
        if member.kind == "hardlink":
            target = self.entries.get(member.target, "")
            if not target.startswith("f:") or member.target not in self._sink:
                raise UntrustedInputError(f"the hard link {member.path!r} → {member.target!r} has no file to link to")
            return target
        return f"f:{hashlib.sha256(member.data).hexdigest()}"

    @staticmethod
    def _check_same(path: str, noted: str, entry: str) -> None:
        """A folder may stand where a folder or a link to one is (usrmerge); all else must be equal."""
        if entry != noted and not entry.startswith("d:"):
            raise UntrustedInputError(
                f"two packages bring /{path}, and they differ", hint="name only one of them in system-packages"
            )
        if entry.startswith("d:") and noted.startswith("f:"):
            raise UntrustedInputError(f"/{path} is a file in one package and a folder in another")

    def _add_parents(self, path: str) -> None:
        missing = []
        parent = path.rpartition("/")[0]
        while parent and parent not in self._sink:
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for folder in reversed([*missing, *([parent] if parent else [])]):
            noted = self.entries.get(folder, "d:755")
            if not noted.startswith("d:"):
                raise UntrustedInputError(f"/{path} would be written through the link or file /{folder}")
            if folder not in self._sink:
                self.entries[folder] = noted
                self._sink.directory(folder, mode=int(noted.removeprefix("d:"), 8))


class FolderWriter:
    """Writes entries below a folder of this machine. Absolute links are made relative, so that they stay below it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: set[str] = set()

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def directory(self, path: str, *, mode: int = 0o755, owner: int = 0) -> None:
        """Make a folder, always writable for its owner."""
        del owner
        self._new(path).mkdir(mode=0o755)
        (self._root / path).chmod((mode & 0o777) | 0o700)

    def symlink(self, path: str, target: str, *, owner: int = 0) -> None:
        """Make a symbolic link."""
        del owner
        climbed = os.path.relpath(target.lstrip("/") or ".", path.rpartition("/")[0] or ".")
        self._new(path).symlink_to(climbed if target.startswith("/") else target)

    def hardlink(self, path: str, target: str) -> None:
        """Make a second name of a file written here."""
        self._new(path).hardlink_to(self._root / target)

    def file(self, path: str, data: bytes, *, mode: int = 0o644, owner: int = 0) -> None:
        """Write a file that is not there yet."""
        del owner
        descriptor = os.open(self._new(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode | 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)

    def _new(self, path: str) -> Path:
        self._paths.add(path)
        return self._root / path
