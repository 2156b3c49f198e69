"""The application's files: what Docker's .dockerignore and the default excludes let through, with their digests."""

from __future__ import annotations

import os
import posixpath
import re
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipml.dockerfile.ignore import IgnorePatterns
from shipml.errors import BuildError, PlanError
from shipml.events import Emit, Notice
from shipml.facts.plan import ApplicationFile
from shipml.oci.digest import Digest
from shipml.reading import read_data
from shipml.secrets.names import is_public_certificate, names_secret, names_secret_folder
from shipml.store import Store
from shipml.store.fact import read_fact

__all__ = ["SECRET", "FileRules", "FoundFiles", "find_files", "may_hold_secret", "reason_to_leave_out"]

_CACHED_FROM_BYTES = 1 << 20
"""Smaller files are hashed faster than a fact is read."""
_TEXT_BYTES = 1 << 20
_READ_AS_TEXT = (".py", ".ipynb", ".txt", ".in", ".toml", ".cfg", ".ini", ".yml", ".yaml", ".lock")
_READ_AT_THE_TOP = frozenset({"Aptfile", "Makefile", "MLproject", "Pipfile", "Procfile"})
"""Others read these, too: what is understood is then what is hashed, also where somebody writes meanwhile."""
_SETTLED_AFTER_SECONDS = 2.0
"""A file that changed more recently could change again within the resolution of its time stamp."""


_MOST_LEVELS = 200
"""A folder in a folder: what a layer can have (255), less what is above the project in the image."""


@dataclass(frozen=True, slots=True)
class FileRules:
    """Which files go along."""

    ignore: IgnorePatterns
    """.dockerignore, then the setting `exclude`, then `include` as `!` patterns."""
    include: IgnorePatterns
    """The setting `include` alone: what it names is sent even where the default excludes speak against it."""
    secret: frozenset[str] = frozenset()
    """Paths of files that were read and found to hold a secret."""


@dataclass(slots=True)
class FoundFiles:
    """What a walk found, in no order."""

    files: list[ApplicationFile] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(path, reason) of what the default excludes dropped."""
    ignored: list[tuple[str, str]] = field(default_factory=list)
    """(path, where the pattern is) of what a pattern dropped: of a folder that was dropped whole, the folder."""


def find_files(folder: Path, rules: FileRules, *, store: Store | None, emit: Emit) -> FoundFiles:
    """All files, folders and links below `folder` that the image gets, sorted by path, each with its digest.

    Raises:
        PlanError: a link leaves the project.
        BuildError: a file or folder cannot be read.
    """
    walk = _Walk(folder, rules, emit)
    walk.visit("")
    files = _with_digests(folder, walk.found.files, store)
    return FoundFiles(
        sorted(files, key=lambda file: os.fsencode(file.path)), sorted(walk.found.left_out), sorted(walk.found.ignored)
    )


class _Walk:
    def __init__(self, folder: Path, rules: FileRules, emit: Emit) -> None:
        self._folder = folder
        self._real = Path(os.path.realpath(folder))
        self._rules = rules
        self._emit = emit
        self.found = FoundFiles()

    def visit(self, parent: str, *, unsafe: bool = False) -> bool:
        """Add what is in the folder `parent`; returns whether anything was added.

        In an `unsafe` folder, one that is left out for safety, only what `include` names is taken.
        """
        added = False
        if parent.count("/") >= _MOST_LEVELS:
            raise PlanError(
                f"{parent[:80]}… is {parent.count('/') + 1} folders deep, more than {_MOST_LEVELS}",
                hint=f"remove it, or name it in .dockerignore: {parent.split('/', maxsplit=1)[0]}",
            )
        try:
            entries = list(os.scandir(self._folder / parent if parent else self._folder))
        except OSError as error:
            raise _unreadable(parent or ".", error) from error
        for entry in entries:
            path = f"{parent}/{entry.name}" if parent else entry.name
            added |= self._consider(entry, path, unsafe=unsafe)
        return added

    def _consider(self, entry: os.DirEntry[str], path: str, *, unsafe: bool) -> bool:
        excluded = self._rules.ignore.excludes(path)
        named = self._rules.include.names(path)
        reason = "" if named or unsafe or excluded else self._reason(entry, path)
        unsafe = not named and (unsafe or bool(reason))
        if reason:
            self.found.left_out.append((path, reason))
        is_folder = entry.is_dir(follow_symlinks=False)
        if excluded and not unsafe and not (is_folder and self._rules.ignore.may_take_in_below(path)):
            self.found.ignored.append((path, self._rules.ignore.place(path)))
        if is_folder:
            return self._folder_entry(path, wanted=not excluded, unsafe=unsafe)
        return False if excluded or unsafe else self._leaf(entry, path)

    def _reason(self, entry: os.DirEntry[str], path: str) -> str:
        return SECRET if path in self._rules.secret else reason_to_leave_out(entry, path)

    def _folder_entry(self, path: str, *, wanted: bool, unsafe: bool) -> bool:
        if unsafe and not self._rules.include.names_below(path):
            return False
        if not wanted and not self._rules.ignore.may_take_in_below(path):
            return False
        added = self.visit(path, unsafe=unsafe)
        if added or (wanted and not unsafe):
            self.found.files.append(ApplicationFile(path, "directory"))
            return True
        return False

    def _leaf(self, entry: os.DirEntry[str], path: str) -> bool:
        try:
            if entry.is_symlink():
                self.found.files.append(self._link(path, os.readlink(entry.path)))  # noqa: PTH115 - Path would tidy the target
                return True
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            raise _unreadable(path, error) from error
        if not stat.S_ISREG(found.st_mode):
            self._emit(Notice(f"{path} is {_special(found.st_mode)} and was left out", level="warning"))
            return False
        executable = bool(found.st_mode & stat.S_IXUSR)
        self.found.files.append(ApplicationFile(path, "file", found.st_size, executable))
        return True

    def _link(self, path: str, target: str) -> ApplicationFile:
        if target.startswith("/"):
            inside = Path(target).is_relative_to(self._real) or Path(target).is_relative_to(self._folder)
            hint = f"make it relative: ln -sfn {_relative(path, target, self._folder)} {path}" if inside else ""
            raise _leaving(path, target, hint)
        resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if resolved == ".." or resolved.startswith("../"):
            raise _leaving(path, target, "")
        return ApplicationFile(path, "symlink", target=target)


def _relative(path: str, target: str, folder: Path) -> str:
    start = posixpath.join(os.path.realpath(folder), posixpath.dirname(path))
    return posixpath.relpath(os.path.realpath(target), start)


def _leaving(path: str, target: str, hint: str) -> PlanError:
    return PlanError(
        f"the link {path} points to {target}, which would not be there in the image",
        hint=hint or f"copy what it points to into the project, or leave the link out: add {path} to .dockerignore",
    )


def _unreadable(path: str, error: OSError) -> BuildError:
    return BuildError(
        f"cannot read {path}: {error.strerror}", hint=f"make it readable, or leave it out: add {path} to .dockerignore"
    )


def _special(mode: int) -> str:
    kinds = ((stat.S_ISSOCK, "a socket"), (stat.S_ISFIFO, "a named pipe"))
    return next((name for test, name in kinds if test(mode)), "a device")


def _with_digests(folder: Path, files: Sequence[ApplicationFile], store: Store | None) -> list[ApplicationFile]:
    """The same files, each with its digest; large ones are hashed side by side."""
    small = [file for file in files if file.size_bytes <= _CACHED_FROM_BYTES]
    large = [file for file in files if file.size_bytes > _CACHED_FROM_BYTES]
    done = [_hashed(folder, file) if file.kind == "file" else file for file in small]
    if large:
        with ThreadPoolExecutor(thread_name_prefix="hash") as pool:
            done += pool.map(lambda file: _remembered(folder, file, store), large)
    return done


def _hashed(folder: Path, file: ApplicationFile) -> ApplicationFile:
    try:
        if file.size_bytes <= _TEXT_BYTES and (file.path.endswith(_READ_AS_TEXT) or file.path in _READ_AT_THE_TOP):
            data = read_data(folder / file.path, follow_links=False)
            return replace(file, digest=Digest.of(data), size_bytes=len(data))
        descriptor = os.open(folder / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            digest = Digest.of_stream(stream)
            size_bytes = stream.tell()
    except OSError as error:
        raise _unreadable(file.path, error) from error
    return replace(file, digest=digest, size_bytes=size_bytes)


def _remembered(folder: Path, file: ApplicationFile, store: Store | None) -> ApplicationFile:
    """`_hashed`, asking the store first: a file of the same size, time and inode is taken for the same file."""
    if store is None:
        return _hashed(folder, file)
    path = folder.absolute() / file.path
    try:
        found = path.lstat()
    except OSError as error:
        raise _unreadable(file.path, error) from error
    key = f"{os.fsencode(path).hex()} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
    known = read_fact(store, "file", key, Digest.parse)
    if known is not None:
        return replace(file, digest=known, size_bytes=found.st_size)
    hashed = _hashed(folder, file)
    if hashed.digest is not None and time.time() - found.st_mtime > _SETTLED_AFTER_SECONDS:
        store.keep_fact("file", key, str(hashed.digest))
    return hashed


SECRET = "may hold a secret"  # noqa: S105 - a reason, not a password
HISTORY = "version control"
ENVIRONMENT = "an environment of this machine"
CACHE = "a cache"
BUILD = "not needed at run time"

_FOLDERS = {
    **dict.fromkeys((".git", ".hg", ".svn", ".bzr", ".jj"), HISTORY),
    **dict.fromkeys(
        ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints", ".hypothesis", ".tox"),
        CACHE,
    ),
    **dict.fromkeys((".nox", "node_modules", ".cache", ".eggs", ".shipml", "mlruns", "lightning_logs"), CACHE),
    **dict.fromkeys((".vscode", ".idea"), "for the editor"),
}
_FILES = {
    **dict.fromkeys((".git", ".hg"), HISTORY),
    **dict.fromkeys((".ds_store", "thumbs.db", ".coverage"), CACHE),
}
_CACHES = re.compile(r".+\.py[co]|.+\.swp|\.coverage\..+")
_AT_THE_TOP = re.compile(
    r"(?:.+\.)?(?:docker|container)file(?:\..+)?|\.(?:docker|container)ignore|shipml\.toml|pylock(?:\.[^.]+)?\.toml"
)


def reason_to_leave_out(entry: os.DirEntry[str], path: str) -> str:
    """Why the file, folder or link `entry` is never sent, in a word or two; "" where it is.

    Args:
        entry: the file, folder or link.
        path: relative to the project, with `/`.
    """
    lower = path.lower()
    name = lower.rpartition("/")[2]
    if entry.is_dir(follow_symlinks=False):
        return _folder_reason(Path(entry.path), lower)
    if path == entry.name and _AT_THE_TOP.fullmatch(name):
        return BUILD
    if name in _FILES:
        return _FILES[name]
    if names_secret(lower) and not (name.endswith(".pem") and is_public_certificate(Path(entry.path))):
        return SECRET
    return CACHE if _CACHES.fullmatch(name) else ""


def may_hold_secret(path: str) -> bool:
    """Whether the name of the file `path` (with `/`), or of a folder above it, speaks of a secret."""
    return names_secret(path.lower())


def _folder_reason(path: Path, relative: str) -> str:
    name = relative.rpartition("/")[2]
    if names_secret_folder(relative):
        return SECRET
    if name in _FOLDERS:
        return _FOLDERS[name]
    is_tools_cache = name == "wandb" and not (path / "__init__.py").is_file()
    if is_tools_cache or relative.endswith(".dvc/cache"):
        return CACHE
    if name.endswith(".egg-info"):
        return BUILD
    return _made_here(path)


def _made_here(path: Path) -> str:
    """Folders that are known by what is in them."""
    if (path / "pyvenv.cfg").is_file() or (path / "conda-meta" / "history").is_file():
        return ENVIRONMENT
    if (path / "oci-layout").is_file() and (path / "index.json").is_file():
        return "an image"
    return ""
