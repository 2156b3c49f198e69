"""Whether a checkout differs from its commit: what `git status --porcelain -- FOLDER` has to say, as yes or no."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shipml.project.git.attributes import Attributes, lfs_pointer, stored_forms
from shipml.project.git.bounded import Deadline, GitError
from shipml.project.git.ignoring import Ignored
from shipml.project.git.index import (
    SPECIAL,
    Entry,
    Index,
    read_index,
)
from shipml.project.git.layout import Repository, open_repository
from shipml.project.git.objects import Objects
from shipml.project.git.refs import head_commit
from shipml.project.git.tree import read_commit, tree_of, tree_of_index

__all__ = ["is_changed"]

_LINK, _SUBMODULE, _FOLDER = 0o120000, 0o160000, 0o040000
_PART_BYTES = 1 << 20
_CONVERTED_BYTES = 64 << 20
"""Larger files are compared as they are: nobody's text is as large."""
_MOST_NESTED = 8


def is_changed(repository: Repository, head: bytes, folder: Path, deadline: Deadline, *, nested: int = 0) -> bool:
    """Whether anything below `folder` is changed, staged, missing, or untracked and not ignored.

    Raises:
        GitError: the repository cannot be read, or not in time.
    """
    below = Path(os.path.realpath(folder)).relative_to(os.path.realpath(repository.root))
    names = tuple(map(os.fsencode, below.parts))
    prefix = b"".join(name + b"/" for name in names)
    index = read_index(repository)
    entries = [entry for entry in index.entries if entry.path.startswith(prefix)]
    if any(entry.flags & SPECIAL and (entry.is_conflict or entry.is_intended) for entry in entries):
        return True
    objects = Objects(repository, deadline)
    committed = tree_of(objects, read_commit(objects, head).tree, names)
    if (tree_of_index(entries, repository.algorithm, prefix) or _empty(repository)) != (
        committed or _empty(repository)
    ):
        return True
    files = _Files(repository, index, deadline, nested)
    if any(files.differs(entry) for entry in entries):
        return True
    return _has_untracked(repository, entries, names, deadline)


def _empty(repository: Repository) -> bytes:
    return hashlib.new(repository.algorithm, b"tree 0\0", usedforsecurity=False).digest()


@dataclass(slots=True)
class _Folders:
    """Which folders are really there, and not links to others."""

    root: bytes
    known: dict[bytes, bool]

    def is_real(self, folder: bytes) -> bool:
        waiting = []
        while folder and folder not in self.known:
            waiting.append(folder)
            folder = folder.rpartition(b"/")[0]
        real = self.known.get(folder, True)
        for one in reversed(waiting):
            real = real and _is_folder(self.root + b"/" + one)
            self.known[one] = real
        return real


def _is_folder(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


class _Files:
    """Compares tracked files with the index."""

    def __init__(self, repository: Repository, index: Index, deadline: Deadline, nested: int) -> None:
        self._repository = repository
        self._index = index
        self._deadline = deadline
        self._nested = nested
        self._root = os.fsencode(repository.root)
        self._folders = _Folders(self._root, {})
        config = repository.config
        self._modes_count = config.is_true("core.filemode", default=True)
        self._links_exist = config.is_true("core.symlinks", default=True)
        self._sparse = config.is_true("core.sparsecheckout")
        self._minimal = config.last("core.checkstat").lower() == "minimal"
        self._ctime_counts = config.is_true("core.trustctime", default=True) and not self._minimal
        self._attributes = Attributes(repository)

    def differs(self, entry: Entry) -> bool:
        """Whether the file is not what the index has; where size and times are those of the index, it is."""
        if entry.mode == _FOLDER or (entry.flags & SPECIAL and self._is_excused(entry)):
            return False
        path = self._root + b"/" + entry.path
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return not entry.is_outside
        self._deadline.check()
        if not self._folders.is_real(entry.path.rpartition(b"/")[0]):
            return True
        return self._differs_from(entry, path, found)

    def _is_excused(self, entry: Entry) -> bool:
        """Whether the user, or a sparse checkout, has the file count as unchanged."""
        return entry.is_assumed_valid or (entry.is_outside and not self._sparse)

    def _differs_from(self, entry: Entry, path: bytes, found: os.stat_result) -> bool:
        if entry.mode == _SUBMODULE:
            return not stat.S_ISDIR(found.st_mode) or self._is_submodule_changed(entry)
        if not self._has_kind(entry, found.st_mode):
            return True
        if self._has_stat(entry, found):
            return False
        if entry.size_bytes and entry.size_bytes != found.st_size & 0xFFFFFFFF:
            return True
        return not self._has_content(entry, path, found)

    def _has_kind(self, entry: Entry, mode: int) -> bool:
        if entry.mode == _LINK:
            return stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and not self._links_exist)
        executable = bool(mode & stat.S_IXUSR) == bool(entry.mode & stat.S_IXUSR)
        return stat.S_ISREG(mode) and (executable or not self._modes_count)

    def _has_stat(self, entry: Entry, found: os.stat_result) -> bool:
        """Whether git would take the file for unchanged without reading it."""
        if not _same_time(entry.mtime_ns, found.st_mtime_ns, seconds_only=self._minimal):
            return False
        if self._ctime_counts and not _same_time(entry.ctime_ns, found.st_ctime_ns, seconds_only=False):
            return False
        if not self._minimal and entry.inode != found.st_ino & 0xFFFFFFFF:
            return False
        return entry.size_bytes == found.st_size & 0xFFFFFFFF and entry.mtime_ns < self._index.written_at_ns

    def _has_content(self, entry: Entry, path: bytes, found: os.stat_result) -> bool:
        if stat.S_ISLNK(found.st_mode):
            return self._name(os.fsencode(Path(os.fsdecode(path)).readlink())) == entry.oid
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            return False
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            if found.st_size > _CONVERTED_BYTES:
                return self._has_large_content(entry, stream, found.st_size)
            data = stream.read(found.st_size) or b""
        values = self._attributes.of(tuple(entry.path.split(b"/")))
        forms = stored_forms(data, self._attributes.ends(values), values)
        return any(self._name(form) == entry.oid for form in forms)

    def _has_large_content(self, entry: Entry, stream: IO[bytes], size_bytes: int) -> bool:
        """As it is, or as the pointer that git-lfs would make of it."""
        plain = hashlib.new(self._repository.algorithm, b"blob %d\0" % size_bytes, usedforsecurity=False)
        pointed = hashlib.sha256()
        while part := stream.read(_PART_BYTES):
            self._deadline.check()
            plain.update(part)
            pointed.update(part)
        values = self._attributes.of(tuple(entry.path.split(b"/")))
        pointer = lfs_pointer(pointed.hexdigest(), size_bytes)
        return plain.digest() == entry.oid or (values.get("filter") == "lfs" and self._name(pointer) == entry.oid)

    def _name(self, data: bytes) -> bytes:
        return hashlib.new(self._repository.algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).digest()

    def _is_submodule_changed(self, entry: Entry) -> bool:
        inner = open_repository(Path(os.fsdecode(self._root + b"/" + entry.path)))
        head = None if inner is None else head_commit(inner)
        if inner is None or head is None:
            return False
        if self._nested == _MOST_NESTED:
            raise GitError("its submodules lie in each other too deep")
        return head != entry.oid or is_changed(inner, head, inner.root, self._deadline, nested=self._nested + 1)


def _same_time(known_ns: int, found_ns: int, *, seconds_only: bool) -> bool:
    """Whether times are equal, as far as the index knows: some systems give no nanoseconds."""
    if known_ns == found_ns:
        return True
    seconds, nanoseconds = divmod(known_ns, 10**9)
    return (seconds_only or not nanoseconds) and seconds == (found_ns // 10**9) & 0xFFFFFFFF


def _has_untracked(
    repository: Repository, entries: Sequence[Entry], names: tuple[bytes, ...], deadline: Deadline
) -> bool:
    """Whether a file or link lies there that git neither tracks nor ignores."""
    tracked = {entry.path for entry in entries}
    ignored = Ignored(repository)
    if ignored.has_above(names):
        return False
    waiting = [names]
    while waiting:
        folder = waiting.pop()
        deadline.check()
        for name, kind in _inside(repository.root, folder):
            deadline.check()
            path = (*folder, name)
            joined = b"/".join(path)
            if joined in tracked or ignored.has(path, is_folder=kind == "folder"):
                continue
            if kind == "file" or _is_repository(repository.root, path):
                return True
            waiting.append(path)
    return False


def _inside(root: Path, folder: Sequence[bytes]) -> Iterator[tuple[bytes, str]]:
    """(name, "file" or "folder") of what lies in a folder; a link is a file, and devices and pipes do not count."""
    try:
        with os.scandir(b"/".join((os.fsencode(root), *folder))) as found:
            for entry in found:
                if entry.name == b".git":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name, "folder"
                elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                    yield entry.name, "file"
    except PermissionError:  # git passes over it, too
        return
    except OSError as error:
        raise GitError(f"one of its folders cannot be read: {error.strerror}") from error


def _is_repository(root: Path, path: Sequence[bytes]) -> bool:
    git = Path(root, *map(os.fsdecode, path), ".git")
    return git.is_file() or (git / "HEAD").exists()
