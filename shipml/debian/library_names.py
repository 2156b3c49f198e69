"""Soname → package by Debian's rules for names (Debian Policy 8.1), where no index of files tells."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from shipml.debian.assemble import fetch_packages
from shipml.debian.deb import read_members
from shipml.debian.index import PackageRecord, PackageSource
from shipml.debian.loader_cache import is_library
from shipml.debian.pin import package_source, pin_package
from shipml.facts.pythons import Suite
from shipml.oci.manifest import Platform
from shipml.session import Session

__all__ = ["package_names", "packages_by_name"]

_SONAME = re.compile(r"(?P<name>lib.+?)(?:\.so\.(?P<version>[\w.+~-]+)|-(?P<inner>\d[\w.]*)\.so)")
_MOST_TRIED = 4
"""Packages that are fetched to look whether they have a library."""
_NOT_LIBRARIES = re.compile(r"-(?:dev|doc|dbg|dbgsym|bin|utils?|tools|data|common|perl|ocaml|java|ruby|cross)\b")


def packages_by_name(
    sonames: Collection[str], suite: Suite, platform: Platform, *, session: Session
) -> Mapping[str, tuple[str, ...]]:
    """The package that each library should be in by its name, where the package has it; () where none was found.

    Raises:
        TryAgainError, UntrustedInputError: the package lists or a package are not available, or not as signed.
    """
    source = package_source(suite, platform, session=session)
    return {soname: _package_with(soname, source, platform, session) for soname in sonames}


def package_names(soname: str) -> tuple[str, ...]:
    """What a package with this library is called: ("libgl1", "libgl1t64") for "libGL.so.1"."""
    match = _SONAME.fullmatch(soname)
    if match is None:
        return ()
    name, version = match["name"].lower().replace("_", "-"), (match["version"] or match["inner"]).lower()
    stems = dict.fromkeys((name, re.sub(r"-(?=\d)", "", name)))  # libglib-2.0 is called libglib2.0
    names = [f"{stem}{'-' * stem[-1].isdigit()}{version}" for stem in stems]
    return tuple(f"{one}{end}" for one in names for end in ("", "t64"))


def _package_with(soname: str, source: PackageSource, platform: Platform, session: Session) -> tuple[str, ...]:
    for number, record in enumerate(_possible(soname, source)):
        if number < _MOST_TRIED and _has_library(record, soname, platform, session):
            return (record.name,)
    return ()


def _possible(soname: str, source: PackageSource) -> Iterator[PackageRecord]:
    """Packages that are, or provide, what the library's name leads to; then those whose names only begin so."""
    names = package_names(soname)
    found = {record.name: record for name in names for record in source.find(name)}
    yield from found.values()
    begins = tuple(f"{name}-" for name in names)
    for name in sorted((name for name in source.names() if name.startswith(begins)), key=lambda one: (len(one), one)):
        if name not in found and not _NOT_LIBRARIES.search(name):
            yield from (record for record in source.find(name) if record.name == name)


def _has_library(record: PackageRecord, soname: str, platform: Platform, session: Session) -> bool:
    pin = pin_package(record, "looked into for a library")
    deb = fetch_packages([pin], session=session)[pin.name]
    return any(
        member.path.endswith(f"/{soname}") and is_library(member.path, platform.architecture)
        for member in read_members(deb, pin.name)
    )
