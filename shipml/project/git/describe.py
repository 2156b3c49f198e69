"""The nearest tag before a commit, as `git describe --tags --long --match '*[0-9]*'` names it (git-describe(1))."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from shipml.project.git.bounded import Deadline, GitError, read_file, read_line
from shipml.project.git.layout import Repository
from shipml.project.git.objects import Objects
from shipml.project.git.tree import read_commit

__all__ = ["describe"]

_TAGS = "refs/tags/"
_PACKED_LIMIT_BYTES = 256 << 20
_MOST_TAGS, _MOST_COMMITS, _MOST_DEPTH = 50_000, 20_000, 8
_SHORT = 7


def describe(repository: Repository, head: bytes, deadline: Deadline) -> str:
    """`TAG-COMMITS-gHASH`; "" where no tag with a digit is before `head`, or history ends here (a shallow clone).

    Raises:
        GitError: an object is damaged, or the time is over.
    """
    objects = Objects(repository, deadline)
    tags: dict[bytes, str] = {}
    for name, oid in sorted(_tags(repository)):
        if any(map(str.isdigit, name)):
            tags[_peeled(objects, oid)] = name
    waiting, seen = deque([head]), {head}
    while waiting and tags and len(seen) < _MOST_COMMITS:
        deadline.check()
        commit = waiting.popleft()
        if commit in tags:
            return f"{tags[commit]}-{_commits_since(objects, head, commit)}-g{head.hex()[:_SHORT]}"
        for parent in _parents(objects, commit):
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return ""


def _commits_since(objects: Objects, head: bytes, tagged: bytes) -> int:
    """How many commits `head` has in its history that `tagged` has not in its own."""
    return len(_history(objects, head) - _history(objects, tagged))


def _history(objects: Objects, commit: bytes) -> set[bytes]:
    waiting, seen = [commit], {commit}
    while waiting and len(seen) < _MOST_COMMITS:
        fresh = [parent for parent in _parents(objects, waiting.pop()) if parent not in seen]
        seen.update(fresh)
        waiting += fresh
    return seen


def _parents(objects: Objects, commit: bytes) -> tuple[bytes, ...]:
    """Of the commit; () where it is not here, as below the end of a shallow clone."""
    try:
        return read_commit(objects, commit).parents
    except GitError:
        return ()


def _peeled(objects: Objects, oid: bytes) -> bytes:
    """The commit that an annotated tag names; a plain tag's own."""
    for _ in range(_MOST_DEPTH):
        try:
            head = objects.read(oid, "tag").partition(b"\n\n")[0]
        except GitError:
            return oid
        match = re.match(rb"object ([0-9a-f]{40,64})\n", head)
        if match is None:
            return oid
        oid = bytes.fromhex(match[1].decode("ascii"))
    return oid


def _tags(repository: Repository) -> Iterator[tuple[str, bytes]]:
    """Names and objects: packed ones first, so that loose ones, which are newer, replace them."""
    found: dict[str, str] = {}
    packed = read_file(repository.common / "packed-refs", _PACKED_LIMIT_BYTES) or b""
    for line in packed.splitlines():
        words, _, name = os.fsdecode(line).partition(" ")
        if name.startswith(_TAGS):
            found[name.removeprefix(_TAGS)] = words
    folder = repository.common / _TAGS
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if said := read_line(path):
                found[path.relative_to(folder).as_posix()] = said
        if len(found) > _MOST_TAGS:
            raise GitError("its repository has too many tags to read")
    for name, words in found.items():
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", words):
            yield name, bytes.fromhex(words)
