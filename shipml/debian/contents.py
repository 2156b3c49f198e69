"""Debian's Contents index: which package has a library or header (wiki.debian.org/DebianRepository/Format, "Contents").

An index has 1.85 million lines, 170 MB unpacked, and is read once for each that Debian publishes; what is kept is a
table of the shared libraries that the loader finds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping

from shipml.debian.index import fetch_file
from shipml.debian.loader_cache import MULTIARCH
from shipml.debian.mirror import find_mirror
from shipml.debian.release import fetch_release
from shipml.events import step
from shipml.facts.pythons import Suite
from shipml.oci.manifest import Platform
from shipml.session import Session

__all__ = ["packages_with", "packages_with_paths"]

_FACT = "debian-libraries-1"
_CURRENT_FACT = "debian-contents-1"
_PATHS_FACT = "debian-paths-1"
_LINE = re.compile(rb"^(?:usr/)?lib/(?:%s/)?(lib[^/\s]+\.so(?:\.[^/\s]*)?)\s+(\S+)$", re.MULTILINE)


def packages_with(
    sonames: Collection[str],
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
) -> Mapping[str, tuple[str, ...]]:
    """The packages that have each library in the loader's folders, the likeliest first; () where none has.

    Raises:
        TryAgainError, UntrustedInputError, BuildError: the index cannot be had, or is not what Debian signed.
    """
    if not sonames:
        return {}
    table = _table(suite, platform, session=session)
    return {soname: _best_first(soname, table.get(soname, [])) for soname in sonames}


def packages_with_paths(
    endings: Collection[str],
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
) -> Mapping[str, tuple[str, ...]]:
    """The packages that have a file below /usr whose path ends so, as `/include/libpq-fe.h`: the likeliest first.

    A header counts in a folder below that of headers, too, since pkg-config may name it: `/include/mariadb/mysql.h`.
    The index is fetched and read once for each new question: that is for builds that have failed.

    Raises:
        TryAgainError, UntrustedInputError, BuildError: as `packages_with`.
    """
    key = json.dumps([suite.name, platform.architecture, find_mirror().debian])
    known: dict[str, list[list[str]]] = session.store.fact(_PATHS_FACT, key) or {}
    missing = [ending for ending in endings if ending not in known]
    if missing:
        with step(session.emit, "libraries", f"which packages of {suite.name} have {', '.join(missing)}"):
            release = fetch_release(
                find_mirror().debian, suite.name, http=session.http, allow_expired=session.allow_expired
            )
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
                owners = match[2].decode().split(",")
                found[ending] += [[match[1].decode(), owner.rpartition("/")[2]] for owner in owners]
    return found


def _line_of(ending: str) -> re.Pattern[bytes]:
    folder, _, name = ending.removeprefix("/").partition("/")
    below = rb"(?:\S+/)?" if folder == "include" else rb""
    path = rb"usr/%s/%s%s" % (re.escape(folder.encode()), below, re.escape(name.encode()))
    return re.compile(rb"^(%s)\s+(\S+)$" % path, re.MULTILINE)


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
    current = json.dumps([suite.name, platform.architecture, mirror.debian])
    known = None if session.upgrade else session.store.fact(_CURRENT_FACT, current)
    table: Mapping[str, list[str]] | None = session.store.fact(_FACT, known) if known else None
    if table is not None:
        return table
    with step(session.emit, "libraries", f"which packages of {suite.name} have which") as running:
        release = fetch_release(mirror.debian, suite.name, http=session.http, allow_expired=session.allow_expired)
        path = f"main/Contents-{platform.architecture}"
        digest = str(release.files[f"{path}.gz"].digest)
        table = session.store.fact(_FACT, digest)
        if table is None:
            table = _read(fetch_file(release, path, session.http), MULTIARCH[platform.architecture])
            session.store.keep_fact(_FACT, digest, table)
        session.store.keep_fact(_CURRENT_FACT, current, digest)
        running.detail = f"{len(table)} libraries"
    return table


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
            table[match[1].decode()] = match[2].decode().split(",")
    return table


def _best_first(soname: str, owners: list[str]) -> tuple[str, ...]:
    """The usual owner first: in the section of libraries, and named after the library."""
    expected = re.sub(r"[^a-z0-9+]", "", soname.lower().replace(".so.", "").replace(".so", ""))

    def rank(owner: str) -> tuple[bool, bool, int, str]:
        section, _, package = owner.rpartition("/")
        named = re.sub(r"[^a-z0-9+]", "", package.removesuffix("t64"))
        return named != expected, section.rpartition("/")[2] != "libs", len(package), package

    return tuple(owner.rpartition("/")[2] for owner in sorted(owners, key=rank))
