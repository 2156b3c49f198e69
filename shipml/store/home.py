"""The folder of the store: where it is, whose it must be, who may read it, and what its errors mean."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shipml.errors import ConfigurationError, StoreError
from shipml.store.durable import make_folder

__all__ = ["default_home", "explained", "explained_full", "prepare_home", "private_folder"]

_PRIVATE = 0o700
_FOLDERS = ("blobs", "blobs/sha256", "facts", "images", "locks", "roots", "tmp", "tree-manifests", "uv")
_MADE_LATER = ("logs",)
_EXPLAINED = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR),
        *(errno.EEXIST, errno.EISDIR, errno.ENOLCK, errno.ENOTSUP),
    )
)


def default_home() -> Path:
    """SHIPML_HOME, else the platform's cache folder (XDG Base Directory; Apple File System Guide)."""
    if home := os.environ.get("SHIPML_HOME"):
        return Path(home).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "shipml"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shipml"


def prepare_home(home: Path) -> None:
    """Make what is missing of the store's folders, and close all of them to other users.

    A `home` that was there before keeps its mode: it may hold more than the store.

    Raises:
        ConfigurationError: it belongs to another user, who could change what is built from it.
        OSError: it cannot be made.
    """
    _check_owner(home)
    make_folder(home, _PRIVATE)
    for name in _FOLDERS:
        private_folder(home / name)
    for name in _MADE_LATER:
        if (home / name).exists():
            private_folder(home / name)


def private_folder(folder: Path) -> None:
    """Make a folder of the store, for its owner alone; one that is there is closed to others.

    Raises:
        ConfigurationError: it belongs to another user.
        OSError: it cannot be made.
    """
    make_folder(folder, _PRIVATE)
    if stat.S_IMODE(_check_owner(folder)) != _PRIVATE:
        folder.chmod(_PRIVATE)


def _check_owner(folder: Path) -> int:
    """The mode of a folder that belongs to the user; 0 where it is missing."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return 0
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"the store {folder} belongs to another user (id {found.st_uid}, not {os.geteuid()})",
            hint="set SHIPML_HOME to a folder of your own, or run shipml as that user",
        )
    return found.st_mode


@contextmanager
def explained_full(home: Path) -> Iterator[None]:
    """Errors of a full disk as StoreError; others may come from any file that the block works on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(
            f"the disk under {home} is full",
            hint="free some space, or run: shipml cache prune; or point SHIPML_HOME to another disk",
        ) from error


@contextmanager
def explained(home: Path) -> Iterator[None]:
    """Errors of the store's own files as StoreError."""
    with explained_full(home):
        try:
            yield
        except OSError as error:
            if error.errno not in _EXPLAINED:
                raise
            raise StoreError(
                f"cannot use the store {home}: {error.strerror}",
                hint="choose a writable folder on a local disk: export SHIPML_HOME=/path",
            ) from error
