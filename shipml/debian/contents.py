"""Debian's Contents index: which package has a library or header (wiki.debian.org/DebianRepository/Format, "Contents").

An index has 1.85 million lines, 170 MB unpacked, and is read once for each that Debian publishes; what is kept is a
table of the shared libraries that the loader finds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import cast

from shipml.debian.index import UnfinishedUpdateError, fetch_file
from shipml.debian.library_names import packages_by_name
from shipml.debian.loader_cache import MULTIARCH
from shipml.debian.mirror import find_mirror
from shipml.debian.release import fetch_release
from shipml.errors import BuildError, UntrustedInputError
from shipml.events import Notice, step
from shipml.facts.pythons import Suite
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store.fact import decode, read_fact
from shipml.text import counted

__all__ = ["packages_with", "packages_with_paths"]

_FACT = "debian-libraries-1"
_CURRENT_FACT = "debian-contents-1"
_PATHS_FACT = "debian-paths-1"
_DESCRIPTIONS = {
    "pkgconfig": rb"^(usr/(?:lib/(?:[^/\s]+/)?|share/)pkgconfig/%s)\s+(\S+)$",
    "cmake": rb"^(usr/(?:lib|share)/(?:\S+/)?%s)\s+(\S+)$",
}
"""Where pkg-config and CMake look for what describes a library."""
_LINE = re.compile(rb"^(?:usr/)?lib/(?:%s/)?(lib[^/\s]+\.so(?:\.[^/\s]*)?)\s+(\S+)$", re.MULTILINE)


def packages_with(
    sonames: Collection[str],
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
) -> Mapping[str, tuple[str, ...]]:
    """The packages that have each library in the loader's folders, the likeliest first; () where none has.

    Where the mirror lacks the index (it is in the middle of an update, or has none), the one of before answers, else
    the names of the packages do.

    Raises:
        TryAgainError, UntrustedInputError: the mirror cannot be reached, or its lists are not what Debian signed.
    """
    if not sonames:
        return {}
    try:
        table = _table(suite, platform, session=session)
    except UntrustedInputError:
        raise
    except (UnfinishedUpdateError, BuildError) as error:
        older = _older_table(suite, platform, session=session)
        instead = "the one of before is used" if older is not None else "packages are found by their names"
        session.emit(Notice(f"{error.message}: {instead}", "warning"))
        if older is None:
            return packages_by_name(sonames, suite, platform, session=session)
        table = older
    return {soname: _best_first(soname, table.get(soname, [])) for soname in sonames}


def packages_with_paths(
    endings: Collection[str],
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
) -> Mapping[str, tuple[str, ...]]:
    """The packages that have a file below /usr whose path ends so, such as `/include/libpq-fe.h`: the likeliest first.

    A header counts in a folder below that of headers, too, since pkg-config may name it: `/include/mariadb/mysql.h`.
    The index is fetched and read once for each new question: that is for builds that have failed.

    Raises:
        TryAgainError, UntrustedInputError, BuildError: the index is not available, or is not what Debian signed.
    """
    key = json.dumps([suite.name, platform.architecture, find_mirror().debian])
    known = read_fact(session.store, _PATHS_FACT, key, _paths_of) or {}
    missing = [ending for ending in endings if ending not in known]
    if missing:
        with step(session.emit, "libraries", f"which packages of {suite.name} have {', '.join(missing)}"):
            release = fetch_release(find_mirror().debian, suite.name, session=session)
            found = _paths(fetch_file(release, f"main/Contents-{platform.architecture}", session.http), missing)
        known |= found
        session.store.keep_fact(_PATHS_FACT, key, known)
    return {ending: _nearest_first(ending, known[ending]) for ending in endings}


def _paths(pieces: Iterator[bytes], endings: Collection[str]) -> dict[str, list[list[str]]]:
    """[path, owner] of each file whose path ends so; the owner without its section."""
    found: dict[str, list[list[str]]] = {ending: [] for ending in endings}
    lines = {ending: _line_of(ending) for ending in endings}
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        for ending, line in lines.items():
            for match in line.finditer(text, 0, end):
                path, owners = (part.decode(errors="replace") for part in match.groups())
                found[ending] += [[path, owner.rpartition("/")[2]] for owner in owners.split(",")]
    return found


def _line_of(ending: str) -> re.Pattern[bytes]:
    folder, _, name = ending.removeprefix("/").partition("/")
    if folder in _DESCRIPTIONS:
        return re.compile(_DESCRIPTIONS[folder] % _names_of(name), re.MULTILINE)
    below = rb"(?:\S+/)?" if folder == "include" else rb""
    path = rb"usr/%s/%s%s" % (re.escape(folder.encode()), below, re.escape(name.encode()))
    return re.compile(rb"^(%s)\s+(\S+)$" % path, re.MULTILINE)


def _names_of(name: str) -> bytes:
    """The names that a file has: CMake takes `FooConfig.cmake` and `foo-config.cmake`, whatever the case of Foo."""
    stem = name.removesuffix("Config.cmake")
    if stem == name:
        return re.escape(name.encode())
    return rb"(?i:%s(?:Config|-config))\.cmake" % re.escape(stem.encode())


def _nearest_first(ending: str, rows: list[list[str]]) -> tuple[str, ...]:
    """Where compilers look by themselves first, then the packages of headers with the shortest names."""

    def rank(row: list[str]) -> tuple[int, bool, int, str]:
        path, owner = row
        depth = path.count("/") - ending.count("/") - ("-linux-gnu" in path)
        return depth, not owner.endswith("-dev"), len(owner), owner

    return tuple(dict.fromkeys(owner for _, owner in sorted(rows, key=rank)))


def _table(suite: Suite, platform: Platform, *, session: Session) -> Mapping[str, list[str]]:
    """Library → packages with their sections, as "libs/libgl1"."""
    mirror = find_mirror()
    table = None if session.upgrade else _older_table(suite, platform, session=session)
    if table is not None:
        return table
    with step(session.emit, "libraries", f"which packages of {suite.name} have which") as running:
        release = fetch_release(mirror.debian, suite.name, session=session)
        path = f"main/Contents-{platform.architecture}"
        signed = release.files.get(f"{path}.gz")
        table = _kept_table(session, str(signed.digest)) if signed else None
        if table is None:
            table = _read(fetch_file(release, path, session.http), MULTIARCH[platform.architecture])
        if signed:
            session.store.keep_fact(_FACT, str(signed.digest), table)
            session.store.keep_fact(_CURRENT_FACT, _current_key(suite, platform), str(signed.digest))
        running.detail = counted(len(table), "library", "libraries")
    return table


def _older_table(suite: Suite, platform: Platform, *, session: Session) -> Mapping[str, list[str]] | None:
    """The table that was made last for the suite; None where none is kept."""
    known = read_fact(session.store, _CURRENT_FACT, _current_key(suite, platform), Digest.parse)
    return _kept_table(session, str(known)) if known else None


def _kept_table(session: Session, digest: str) -> dict[str, list[str]] | None:
    def read(kept: object) -> dict[str, list[str]]:
        return cast("dict[str, list[str]]", decode(kept, dict[str, list[str]]))

    return read_fact(session.store, _FACT, digest, read)


def _paths_of(kept: object) -> dict[str, list[list[str]]]:
    found = cast("dict[str, list[tuple[str, str]]]", decode(kept, dict[str, list[tuple[str, str]]]))
    return {ending: [list(row) for row in rows] for ending, rows in found.items()}


def _current_key(suite: Suite, platform: Platform) -> str:
    return json.dumps([suite.name, platform.architecture, find_mirror().debian])


def _read(pieces: Iterator[bytes], multiarch: str) -> dict[str, list[str]]:
    """The libraries in the loader's folders."""
    line = re.compile(_LINE.pattern % multiarch.encode(), re.MULTILINE)
    table: dict[str, list[str]] = {}
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        for match in line.finditer(text, 0, end):
            table[match[1].decode(errors="replace")] = match[2].decode(errors="replace").split(",")
    return table


def _best_first(soname: str, owners: list[str]) -> tuple[str, ...]:
    """The usual owner first: in the section of libraries, and named after the library."""
    expected = re.sub(r"[^a-z0-9+]", "", soname.lower().replace(".so.", "").replace(".so", ""))

    def rank(owner: str) -> tuple[bool, bool, int, str]:
        section, _, package = owner.rpartition("/")
        named = re.sub(r"[^a-z0-9+]", "", package.removesuffix("t64"))
        return named != expected, section.rpartition("/")[2] != "libs", len(package), package

    return tuple(owner.rpartition("/")[2] for owner in sorted(owners, key=rank))
