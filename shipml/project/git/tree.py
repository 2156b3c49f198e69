"""Trees: the one that a commit has of a folder, and the one that the index would make of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from shipml.project.git.bounded import GitError
from shipml.project.git.index import Entry
from shipml.project.git.objects import Objects

__all__ = ["Commit", "read_commit", "tree_of", "tree_of_index"]

_FOLDER = 0o40000


@dataclass(frozen=True, slots=True)
class Commit:
    """What counts of a commit."""

    tree: bytes
    committed_at_seconds: int
    parents: tuple[bytes, ...] = ()


def read_commit(objects: Objects, oid: bytes) -> Commit:
    """The commit `oid`.

    Raises:
        GitError: it is not here, or not of that form.
    """
    head = objects.read(oid, "commit").partition(b"\n\n")[0]
    lines = dict(line.partition(b" ")[::2] for line in reversed(head.split(b"\n")))
    words = lines.get(b"committer", b"").rpartition(b">")[2].split()
    try:
        parents = [line[7:] for line in head.split(b"\n") if line.startswith(b"parent ")]
        return Commit(
            bytes.fromhex(lines[b"tree"].decode("ascii")),
            int(words[0]) if words[0].isdigit() else -1,
            tuple(bytes.fromhex(parent.decode("ascii")) for parent in parents),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise GitError(f"the commit {oid.hex()} in its repository is damaged") from error


def tree_of(objects: Objects, tree: bytes, folder: Sequence[bytes]) -> bytes | None:
    """The tree of a folder below `tree`, by the names on the way; None: there is no such folder."""
    for name in folder:
        found = _entry(objects.read(tree, "tree"), name, len(tree))
        if found is None:
            return None
        tree = found
    return tree


def _entry(data: bytes, name: bytes, oid_bytes: int) -> bytes | None:
    at = 0
    while at < len(data):
        end = data.find(b"\0", at)
        mode, _, found = data[at:end].partition(b" ")
        at = end + 1 + oid_bytes
        if end < 0 or at > len(data):
            raise GitError("a tree in its repository is damaged")
        if found == name:
            return data[end + 1 : at] if mode.lstrip(b"0") == b"40000" else None
    return None


def tree_of_index(entries: Sequence[Entry], algorithm: str, prefix: bytes = b"") -> bytes | None:
    """The name of the tree that `entries`, all below `prefix`, would make; None of none."""
    if not entries:
        return None
    trees: list[tuple[bytes, bytearray]] = [(b"", bytearray())]

    def close() -> None:
        name, content = trees.pop()
        _add(trees[-1][1], _FOLDER, name, _named(content, algorithm))

    last: list[bytes] = []
    last_folder = b""
    for entry in entries:
        path = entry.path[len(prefix) :]
        folder, _, name = path.removesuffix(b"/").rpartition(b"/")
        if folder != last_folder:
            parts = folder.split(b"/") if folder else []
            same = _common(parts, last)
            for _ in last[same:]:
                close()
            trees += [(part, bytearray()) for part in parts[same:]]
            last, last_folder = parts, folder
        _add(trees[-1][1], entry.mode, name, entry.oid)
    for _ in last:
        close()
    return _named(trees[0][1], algorithm)


def _common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return number
    return min(len(one), len(other))


def _add(content: bytearray, mode: int, name: bytes, oid: bytes) -> None:
    content += b"%o %s\0%s" % (mode, name, oid)


def _named(content: bytearray, algorithm: str) -> bytes:
    head = b"tree %d\0" % len(content)
    return hashlib.new(algorithm, head + content, usedforsecurity=False).digest()
