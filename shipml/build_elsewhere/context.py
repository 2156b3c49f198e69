"""The build context as a tar in pieces: what Docker's .dockerignore rules let through, or exactly a plan's files.

Nothing is held but one piece. Headers are in GNU's format: BuildKit takes a leading PAX header for the Dockerfile.
Owners are root, which is how docker's own client sends them; modes and times are the files' own.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shipml.dockerfile.ignore import IgnorePatterns, parse_dockerignore
from shipml.dockerfile.names import ignore_files, require_inside
from shipml.errors import BuildError, ConfigurationError
from shipml.events import Emit, Notice
from shipml.facts.plan import Plan
from shipml.project.files import may_hold_secret

__all__ = [
    "ContextEntry",
    "folder_context",
    "free_name",
    "ignore_rules",
    "name_in_context",
    "plan_context",
    "secrets_in",
    "tar_stream",
    "tell_secrets",
]

_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = tarfile.BLOCKSIZE
_SECRETS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """One file, folder or link of the context."""

    path: str
    """Below the context's root, with `/`; undecodable bytes as surrogate escapes."""
    kind: bytes
    """As in a tar header: tarfile.REGTYPE, DIRTYPE or SYMTYPE."""
    mode: int
    size_bytes: int = 0
    target: str = ""
    modified_at_seconds: int = 0
    source: Path | None = field(default=None, repr=False)
    """Where a file's bytes are read; None where they are in `data`."""
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def of_bytes(cls, path: str, data: bytes) -> ContextEntry:
        """A file that is made by us."""
        return cls(path, tarfile.REGTYPE, 0o644, len(data), data=data)


def ignore_rules(folder: Path, dockerfile: Path) -> IgnorePatterns:
    """The rules for a context: those in `DOCKERFILE.dockerignore`, else in the folder's .dockerignore.

    Raises:
        ConfigurationError: a pattern that Docker refuses too, or a file that cannot be read.
    """
    for path in ignore_files(folder, dockerfile):
        if path.is_file():
            require_inside(folder, path)
            try:
                text = path.read_text(encoding="utf-8", errors="surrogateescape")
            except OSError as error:
                raise ConfigurationError(f"cannot read {path}: {error.strerror}", hint="look at its rights") from error
            return IgnorePatterns(parse_dockerignore(text), source=path.name)
    return IgnorePatterns(())


def folder_context(folder: Path, rules: IgnorePatterns) -> Iterator[ContextEntry]:
    """Everything in a folder that the rules do not leave out, parents before what is in them, sorted by name.

    Raises:
        BuildError: a folder cannot be read.
    """
    yield from _visit(folder, "", rules)


def _visit(folder: Path, parent: str, rules: IgnorePatterns) -> Iterator[ContextEntry]:
    try:
        entries = sorted(os.scandir(folder / parent), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise _unreadable(parent or ".", error) from error
    for entry in entries:
        path = f"{parent}/{entry.name}" if parent else entry.name
        excluded = rules.excludes(path)
        is_folder = entry.is_dir(follow_symlinks=False)
        if excluded and not (is_folder and rules.may_take_in_below(path)):
            continue
        found = _entry(entry, path)
        below = _visit(folder, path, rules) if is_folder else iter(())
        if excluded:  # a folder of which only something below is wanted travels with that, or not at all
            first = next(below, None)
            if first is None:
                continue
            if found:
                yield found
            yield first
        elif found:
            yield found
        yield from below


def _entry(entry: os.DirEntry[str], path: str) -> ContextEntry | None:
    try:
        status = entry.stat(follow_symlinks=False)
        target = os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115  (Path would tidy the target)
    except OSError as error:
        raise _unreadable(path, error) from error
    mode, seconds = stat.S_IMODE(status.st_mode), max(0, int(status.st_mtime))
    if target:
        return ContextEntry(path, tarfile.SYMTYPE, 0o777, target=target, modified_at_seconds=seconds)
    if stat.S_ISDIR(status.st_mode):
        return ContextEntry(path, tarfile.DIRTYPE, mode, modified_at_seconds=seconds)
    if stat.S_ISREG(status.st_mode):
        source = Path(entry.path)
        return ContextEntry(path, tarfile.REGTYPE, mode, status.st_size, "", seconds, source)
    return None  # sockets, pipes and devices are not part of a context


def plan_context(plan: Plan, folder: Path) -> Iterator[ContextEntry]:
    """The plan's application files and nothing else, with the modes that every builder gives them."""
    seconds = plan.modified_at_seconds
    for file in plan.application:
        if file.kind == "directory":
            yield ContextEntry(file.path, tarfile.DIRTYPE, 0o755, modified_at_seconds=seconds)
        elif file.kind == "symlink":
            yield ContextEntry(file.path, tarfile.SYMTYPE, 0o777, target=file.target, modified_at_seconds=seconds)
        else:
            mode = 0o755 if file.executable else 0o644
            yield ContextEntry(file.path, tarfile.REGTYPE, mode, file.size_bytes, "", seconds, folder / file.path)


def secrets_in(entries: Iterable[ContextEntry]) -> list[str]:
    """Paths of files whose names speak of a secret."""
    return [entry.path for entry in entries if entry.kind == tarfile.REGTYPE and may_hold_secret(entry.path)]


def tell_secrets(paths: list[str], emit: Emit, whither: str) -> None:
    """Warn of what `secrets_in` found; `whither` is what becomes of them, such as "are sent to Azure"."""
    if not paths:
        return
    more = f" and {len(paths) - _SECRETS_SHOWN} more" if len(paths) > _SECRETS_SHOWN else ""
    shown = _readable(", ".join(paths[:_SECRETS_SHOWN]))
    emit(Notice(f"{shown}{more} may hold secrets, and {whither}: name them in .dockerignore", "warning"))


def name_in_context(dockerfile: Path, folder: Path) -> str:
    """Where a builder finds the Dockerfile: its own place in the context of `folder`, else a name of its own."""
    try:
        return dockerfile.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return f".shipml.{dockerfile.name}"


def free_name(taken: Collection[str]) -> str:
    """A name for a Dockerfile of ours, which none of the context's files has."""
    name = "Dockerfile"
    while name in taken:
        name = f".{name}"
    return name


def tar_stream(entries: Iterable[ContextEntry]) -> Iterator[bytes]:
    """The entries as a tar, in pieces of at most 1 MiB and a header.

    Raises:
        BuildError: a file cannot be read, or changed while it was sent.
    """
    for entry in entries:
        yield _header(entry)
        if entry.size_bytes:
            yield from _content(entry)
            if rest := -entry.size_bytes % _BLOCK_BYTES:
                yield bytes(rest)
    yield bytes(2 * _BLOCK_BYTES)


def _header(entry: ContextEntry) -> bytes:
    info = tarfile.TarInfo(entry.path)
    info.type, info.mode, info.size = entry.kind, entry.mode, entry.size_bytes
    info.linkname, info.mtime = entry.target, entry.modified_at_seconds
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(entry: ContextEntry) -> Iterator[bytes]:
    if entry.source is None:
        yield entry.data
        return
    left = entry.size_bytes
    try:
        with entry.source.open("rb", buffering=0) as stream:
            while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk
    except OSError as error:
        raise _unreadable(entry.path, error) from error
    if left:
        raise BuildError(f"{entry.path} became shorter while it was sent", hint="build again when nothing writes to it")


def _unreadable(path: str, error: OSError) -> BuildError:
    shown = _readable(path)
    return BuildError(
        f"cannot read {shown}: {error.strerror}", hint=f"give yourself the right, or name it in .dockerignore: {shown}"
    )


def _readable(path: str) -> str:
    """A path as it can be printed: what is not UTF-8 in it came as surrogate escapes."""
    return os.fsencode(path).decode("utf-8", "replace")
