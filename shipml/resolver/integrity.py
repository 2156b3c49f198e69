"""Hashes that the project states: only files that have one of them are taken, as pip and uv do.

In a requirements file one hash means all: every requirement is then pinned and has its hashes, and nothing else is
installed (pip.pypa.io/en/stable/topics/secure-installs). A lock binds the packages that it names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from shipml.errors import UntrustedInputError
from shipml.facts.plan import LockedSource, LockedWheel
from shipml.facts.project import Lock
from shipml.facts.requirements import DeclaredRequirement, FileHash, Requirements, StatedHashes
from shipml.http import HttpClient
from shipml.store import Store
from shipml.text import listed

__all__ = ["check_statements", "enforced", "has_stated_hash", "stated_hashes", "statements_text", "with_stated_files"]

_HASH = re.compile(r"--hash[= ](?P<algorithm>\w+):(?P<hex>[0-9A-Fa-f]+)")
_STRONG = ("sha256", "sha384", "sha512")
"""What pip accepts in a requirements file."""
_CHUNK_BYTES = 1 << 20


def stated_hashes(declared: Requirements) -> dict[str, StatedHashes]:
    """By name, all hashes that the project states for a package, wherever it does so."""
    found: dict[str, StatedHashes] = {}
    of_lines = (
        StatedHashes(one.name, one.source, hashes)
        for one in (*declared.requirements, *declared.constraints)
        if one.name and (hashes := _of_line(one))
    )
    for stated in (*of_lines, *declared.stated_hashes):
        known = found.get(stated.name)
        found[stated.name] = stated if known is None else replace(known, hashes=(*known.hashes, *stated.hashes))
    return found


def has_stated_hash(declared: Requirements, name: str) -> bool:
    """Whether the project says which files `name` may come from."""
    return name in stated_hashes(declared)


def check_statements(declared: Requirements) -> None:
    """One hash means all.

    Raises:
        UntrustedInputError: requirements without a hash or without `==` beside one that has a hash.
    """
    if not _demands_all(declared):
        return
    bare = [one for one in declared.requirements if not _of_line(one)]
    if bare:
        raise UntrustedInputError(
            f"{_demanded_by(declared)} demands a hash of every requirement, and there is none for"
            f" {listed(_shown(one) for one in bare)}",
            hint="state the hashes of all: pip-compile --generate-hashes, or uv pip compile --generate-hashes",
        )
    loose = [one for one in declared.requirements if not one.version and " @ " not in one.line]
    if loose:
        raise UntrustedInputError(
            f"{_demanded_by(declared)} demands a hash of every requirement, and these are not pinned with ==:"
            f" {listed(_shown(one) for one in loose)}",
            hint="pin them: NAME==VERSION --hash=sha256:…",
        )


def with_stated_files(document: Mapping[str, Any], declared: Requirements) -> Mapping[str, Any]:
    """A pylock.toml document, of each package only the wheels that the project states where it has any of these."""
    stated = stated_hashes(declared)
    return {**document, "packages": [_with_stated(one, stated) for one in document.get("packages", ())]}


def enforced(lock: Lock, declared: Requirements | None, *, store: Store, http: HttpClient | None = None) -> Lock:
    """The lock, with the sizes that the project states; every file has one of the hashes that are stated for it.

    Raises:
        UntrustedInputError: a file is another than the project states, or is not stated where all must be.
        TryAgainError, NotAllowedError, BuildError: a file that must be read for its hash cannot be downloaded.
    """
    if declared is None:
        return lock
    check_statements(declared)
    stated, demands_all = stated_hashes(declared), _demands_all(declared)
    if demands_all:
        files: tuple[LockedWheel | LockedSource, ...] = (*lock.wheels, *lock.sources)
        unknown = [one for one in files if one.name not in stated]
        if unknown:
            raise UntrustedInputError(
                f"{_demanded_by(declared)} demands a hash of every package, and there is none for"
                f" {listed(f'{one.name}=={one.version}' for one in unknown)}",
                hint="add them with their hashes: pip-compile --generate-hashes, or uv pip compile --generate-hashes",
            )
    client = http or HttpClient()
    wheels = tuple(replace(one, size_bytes=_checked(one, stated, store, client)) for one in lock.wheels)
    sources = tuple(replace(one, size_bytes=_checked(one, stated, store, client)) for one in lock.sources)
    return replace(lock, wheels=wheels, sources=sources)


def _checked(
    file: LockedWheel | LockedSource, stated: Mapping[str, StatedHashes], store: Store, http: HttpClient
) -> int | None:
    """The size that the file must have, as far as anybody says.

    Raises:
        UntrustedInputError: it is none of those that are stated.
    """
    said = stated.get(file.name)
    if said is None:
        return file.size_bytes
    sha256 = [one for one in said.hashes if one.algorithm == "sha256"]
    match = next((one for one in sha256 if one.hex == file.digest.hex), None)
    if match is None and len(sha256) < len(said.hashes):
        match = _by_content(file, said.hashes, store, http)
    if match is None:
        raise UntrustedInputError(
            f"{said.source}: {file.name}=={file.version}: the index has {file.filename} with {file.digest},"
            " which is none of the hashes that are stated",
            hint="if the release was replaced on purpose, write the hashes again; else ask where this file comes from",
        )
    if match.size_bytes is not None and file.size_bytes not in (None, match.size_bytes):
        raise UntrustedInputError(
            f"{said.source}: {file.name}=={file.version}: {file.filename} has {file.size_bytes} bytes on the index,"
            f" and {match.size_bytes} are stated",
            hint="write the lock again",
        )
    return match.size_bytes if file.size_bytes is None else file.size_bytes


def _by_content(
    file: LockedWheel | LockedSource, hashes: Iterable[FileHash], store: Store, http: HttpClient
) -> FileHash | None:
    """The stated hash of another kind than the index's SHA-256 that the file's content has."""
    path = http.fetch_blob(file.url, file.digest, store, size_bytes=file.size_bytes)
    for algorithm in sorted({one.algorithm for one in hashes if one.algorithm in _STRONG[1:]}):
        with path.open("rb") as stream:
            hexadecimal = hashlib.file_digest(stream, algorithm).hexdigest()
        match = next((one for one in hashes if (one.algorithm, one.hex) == (algorithm, hexadecimal)), None)
        if match is not None:
            return match
    return None


def _with_stated(package: Mapping[str, Any], stated: Mapping[str, StatedHashes]) -> Mapping[str, Any]:
    said = stated.get(str(package.get("name")))
    if said is None:
        return package
    known = {one.hex for one in said.hashes}
    wheels = [one for one in package.get("wheels", ()) if not known.isdisjoint(one.get("hashes", {}).values())]
    return {**package, "wheels": wheels} if wheels else package


def _of_line(one: DeclaredRequirement) -> tuple[FileHash, ...]:
    return tuple(FileHash(match["algorithm"].lower(), match["hex"].lower()) for match in _HASH.finditer(one.line))


def _demands_all(declared: Requirements) -> bool:
    return any(map(_of_line, declared.requirements)) or any(map(_is_demand, declared.options))


def _is_demand(option: str) -> bool:
    return option.strip() == "--require-hashes"


def _demanded_by(declared: Requirements) -> str:
    """The first line that has a hash, else the file that says --require-hashes."""
    return next((one.source for one in declared.requirements if _of_line(one)), declared.path)


def _shown(one: DeclaredRequirement) -> str:
    return f"{one.name or one.source} ({one.source})"


def _lines(declared: Requirements) -> Iterator[str]:
    for one in declared.stated_hashes:
        yield f"{one.name} {' '.join(f'{each.algorithm}:{each.hex}:{each.size_bytes}' for each in one.hashes)}"


def statements_text(declared: Requirements) -> str:
    """All that locks state, as a text: a resolution depends on it."""
    return "\n".join(_lines(declared))
