"""Which untracked files do not count: .gitignore, info/exclude and the user's own list (gitignore(5))."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shipml.project.git.bounded import GitError, read_file
from shipml.project.git.config import config_home
from shipml.project.git.layout import Repository
from shipml.project.git.wildmatch import Pattern

__all__ = ["Ignored"]

_LIMIT_BYTES = 4 << 20
_MOST_PATTERNS = 20_000


class Ignored:
    """The rules of one checkout."""

    def __init__(self, repository: Repository) -> None:
        self._root = repository.root
        self._ignore_case = repository.config.is_true("core.ignorecase")
        named = repository.config.last("core.excludesfile")
        own = Path(named).expanduser() if named else config_home() / "ignore"
        self._everywhere = [
            *self._patterns(own if own.is_absolute() else self._root / own, follow=True),
            *self._patterns(repository.common / "info" / "exclude", follow=True),
        ]
        self._of_folders: dict[tuple[bytes, ...], list[Pattern]] = {}

    def has(self, path: tuple[bytes, ...], *, is_folder: bool) -> bool:
        """Whether the path (components below the root) is ignored, where none of the folders above it is."""
        for depth in range(len(path) - 1, -1, -1):
            decided = _decision(self._of_folder(path[:depth]), path[depth:], is_folder=is_folder)
            if decided is not None:
                return decided
        return bool(_decision(self._everywhere, path, is_folder=is_folder))

    def has_above(self, path: tuple[bytes, ...]) -> bool:
        """Whether the folder, or one above it, is ignored."""
        return any(self.has(path[: depth + 1], is_folder=True) for depth in range(len(path)))

    def _of_folder(self, folder: tuple[bytes, ...]) -> list[Pattern]:
        if folder not in self._of_folders:
            path = Path(self._root, *map(os.fsdecode, folder), ".gitignore")
            self._of_folders[folder] = self._patterns(path, follow=False)
        return self._of_folders[folder]

    def _patterns(self, path: Path, *, follow: bool) -> list[Pattern]:
        data = (read_file(path, _LIMIT_BYTES, follow=follow) or b"").removeprefix(b"\xef\xbb\xbf")
        lines = data.split(b"\n")
        if len(lines) > _MOST_PATTERNS:
            raise GitError(f"{path.name} in its repository has more than {_MOST_PATTERNS} lines")
        found = (Pattern.of(line.removesuffix(b"\r"), ignore_case=self._ignore_case) for line in lines)
        return [pattern for pattern in found if pattern is not None]


def _decision(patterns: Sequence[Pattern], path: Sequence[bytes], *, is_folder: bool) -> bool | None:
    """What the last pattern that fits says; None: none fits."""
    for pattern in reversed(patterns):
        if pattern.matches(path, is_folder=is_folder):
            return not pattern.negated
    return None
