"""Commits and trees: loose, in packs, and in the folders that `alternates` names. Nothing is fetched."""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shipml.project.git.bounded import Deadline, GitError, read_file
from shipml.project.git.delta import apply_delta
from shipml.project.git.layout import Repository

__all__ = ["Objects"]

_LIMIT_BYTES = 32 << 20
"""Of one commit or tree; a tree of 500,000 files is about as large."""
_MOST_FOLDERS = 32
_MOST_PACKS = 10_000
_MOST_DELTAS = 4096
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_BY_OFFSET, _BY_NAME = 6, 7
_READ_BYTES = 8192
_FANOUT_BYTES = 1024
_INDEX_HEAD = b"\xfftOc\x00\x00\x00\x02"


class Objects:
    """Reads the objects of one repository."""

    def __init__(self, repository: Repository, deadline: Deadline) -> None:
        self._algorithm = repository.algorithm
        self._oid_bytes = repository.oid_bytes
        self._deadline = deadline
        self._folders = list(_folders(repository.common / "objects"))

    def read(self, oid: bytes, kind: str) -> bytes:
        """The content of the `kind` (commit, tree) that is called `oid`.

        Raises:
            GitError: it is not here (in a partial clone, git would fetch it), damaged, too large, or another kind.
        """
        found = self._found(oid)
        if found is None:
            raise GitError(f"its repository lacks the {kind} {oid.hex()}, and shipml does not fetch")
        is_kind, data = found
        head = f"{is_kind} {len(data)}\0".encode()
        if is_kind != kind or hashlib.new(self._algorithm, head + data, usedforsecurity=False).digest() != oid:
            raise GitError(f"the {kind} {oid.hex()} in its repository is damaged")
        return data

    def _found(self, oid: bytes) -> tuple[str, bytes] | None:
        for folder in self._folders:
            name = oid.hex()
            data = read_file(folder / name[:2] / name[2:], _LIMIT_BYTES)
            if data is not None:
                return _loose(data)
        for folder in self._folders:
            for path in _packs(folder / "pack"):
                self._deadline.check()
                if (offset := self._offset(path, oid)) is not None:
                    return self._packed(path.with_suffix(".pack"), offset)
        return None

    def _offset(self, path: Path, oid: bytes) -> int | None:
        """Where the pack beside the index `path` has the object; None: not there (gitformat-pack(5), version 2)."""
        size = self._oid_bytes
        with _File(path) as index:
            if index.read(0, 8) != _INDEX_HEAD:
                raise GitError("a pack in its repository has an index of a form that shipml does not know")
            first = oid[0]
            low = index.number(8 + 4 * (first - 1), 4) if first else 0
            high = index.number(8 + 4 * first, 4)
            count = index.number(8 + 4 * 255, 4)
            names = 8 + _FANOUT_BYTES
            while low < high:
                middle = (low + high) // 2
                found = index.read(names + middle * size, size)
                if found == oid:
                    offsets = names + count * (size + 4)
                    offset = index.number(offsets + 4 * middle, 4)
                    if offset >> 31:
                        return index.number(offsets + 4 * count + 8 * (offset & 0x7FFFFFFF), 8)
                    return offset
                low, high = (middle + 1, high) if found < oid else (low, middle)
        return None

    def _packed(self, path: Path, offset: int) -> tuple[str, bytes]:
        deltas: list[bytes] = []
        total = 0
        with _File(path) as pack:
            while len(deltas) < _MOST_DELTAS:
                self._deadline.check()
                entry = _Entry.read(pack, offset, self._oid_bytes)
                data = pack.inflated(entry.data_at, entry.size_bytes)
                total += len(data)
                if total > _LIMIT_BYTES:
                    break
                if entry.kind in _KINDS:
                    return _KINDS[entry.kind], self._patched(data, deltas)
                deltas.append(data)
                if entry.base is None:
                    offset = entry.base_at
                    continue
                base = self._offset(path.with_suffix(".idx"), entry.base)
                if base is None:
                    raise GitError("a pack in its repository is damaged")
                offset = base
        raise GitError("an object in its repository is too large, or damaged")

    def _patched(self, data: bytes, deltas: list[bytes]) -> bytes:
        for delta in reversed(deltas):
            self._deadline.check()
            data = apply_delta(data, delta, _LIMIT_BYTES)
        return data


class _File:
    """A file that is read in places."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise GitError("a pack in its repository cannot be read") from error
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise GitError("a pack in its repository is not a regular file")

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read(self, at: int, size: int) -> bytes:
        """Exactly `size` bytes."""
        data = self.some(at, size)
        if len(data) != size:
            raise GitError("a pack in its repository is cut off")
        return data

    def some(self, at: int, size: int) -> bytes:
        """Up to `size` bytes."""
        try:
            return os.pread(self._descriptor, size, at)
        except (OSError, OverflowError) as error:
            raise GitError("a pack in its repository is damaged") from error

    def number(self, at: int, size: int) -> int:
        """A number of `size` bytes."""
        return int.from_bytes(self.read(at, size))

    def inflated(self, at: int, size: int) -> bytes:
        """The `size` bytes that begin compressed at `at`."""
        if size > _LIMIT_BYTES:
            raise GitError("an object in its repository is too large")
        inflate = zlib.decompressobj()
        data = bytearray()
        try:
            while len(data) <= size and not inflate.eof and (part := self.some(at, _READ_BYTES)):
                at += len(part)
                data += inflate.decompress(part, size + 1 - len(data))
        except zlib.error as error:
            raise GitError("an object in its repository is damaged") from error
        if len(data) != size:
            raise GitError("an object in its repository is damaged")
        return bytes(data)


@dataclass(frozen=True, slots=True)
class _Entry:
    """The head of an object in a pack."""

    kind: int
    size_bytes: int
    data_at: int
    base_at: int = 0
    """Where the base of a delta begins, unless `base` names it."""
    base: bytes | None = None

    @staticmethod
    def read(pack: _File, offset: int, oid_bytes: int) -> _Entry:
        head = pack.some(offset, 64)
        try:
            kind, size, at, shift = head[0] >> 4 & 7, head[0] & 15, 1, 4
            while head[at - 1] & 0x80:
                size |= (head[at] & 0x7F) << shift
                shift += 7
                at += 1
            if kind == _BY_NAME:
                return _Entry(kind, size, offset + at + oid_bytes, base=head[at : at + oid_bytes])
            if kind == _BY_OFFSET:
                back = head[at] & 0x7F
                while head[at] & 0x80:
                    at += 1
                    back = (back + 1) << 7 | head[at] & 0x7F
                if not 0 < back <= offset:
                    raise GitError("a pack in its repository is damaged")
                return _Entry(kind, size, offset + at + 1, base_at=offset - back)
        except IndexError as error:
            raise GitError("a pack in its repository is cut off") from error
        if kind not in _KINDS:
            raise GitError("a pack in its repository is damaged")
        return _Entry(kind, size, offset + at)


def _loose(data: bytes) -> tuple[str, bytes]:
    inflate = zlib.decompressobj()
    try:
        whole = inflate.decompress(data, _LIMIT_BYTES)
    except zlib.error as error:
        raise GitError("an object in its repository is damaged") from error
    head, _, content = whole.partition(b"\0")
    kind, _, size = head.decode("ascii", "replace").partition(" ")
    if size != str(len(content)):
        raise GitError("an object in its repository is too large, or damaged")
    return kind, content


def _packs(folder: Path) -> Iterator[Path]:
    """The indexes of packs, the newest first, as a checked-out commit is mostly in it."""
    try:
        found = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(folder) if entry.name.endswith(".idx")]
    except OSError:
        return
    yield from (Path(path) for _, path in sorted(found, reverse=True)[:_MOST_PACKS])


def _folders(objects: Path) -> Iterator[Path]:
    """The folder of objects, and those that it borrows from."""
    queue, seen = [objects], set[Path]()
    while queue and len(seen) < _MOST_FOLDERS:
        folder = Path(os.path.realpath(queue.pop(0)))
        if folder in seen:
            continue
        seen.add(folder)
        yield folder
        lines = os.fsdecode(read_file(folder / "info" / "alternates", 1 << 20) or b"").splitlines()
        queue += [folder / line for line in lines[:_MOST_FOLDERS] if line and not line.startswith("#")]
