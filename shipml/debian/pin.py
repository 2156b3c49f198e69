"""Suite → pin: the package lists fetched and checked, the closure chosen, both remembered until they are upgraded."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from shipml.debian.closure import Chosen, close
from shipml.debian.index import (
    Archive,
    PackageRecord,
    PackageSource,
    UnfinishedUpdateError,
    fetch_index,
    open_index,
)
from shipml.debian.mirror import Mirror, find_mirror
from shipml.debian.recipe import (
    RECIPE,
    SHELL_PACKAGES,
    excluded_in_base,
    excluded_in_extra,
    roots,
)
from shipml.debian.release import Release, fetch_release
from shipml.debian.versions import DebianVersion
from shipml.errors import PlanError
from shipml.events import Notice, step
from shipml.facts.plan import BasePin, DebianPackagePin
from shipml.facts.pythons import Suite
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store import Store
from shipml.store.fact import read_fact

__all__ = [
    "existing_packages",
    "extra_pin",
    "package_source",
    "packages_from_json",
    "packages_to_json",
    "pin_base",
    "pin_package",
]

_LISTS_FACT = "debian-lists-1"
_PIN_FACT = "debian-pin-1"
_FRESH_SECONDS = 24 * 3600
"""How long package lists serve new pins before the mirror is asked again. Pins that are known never ask."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """The package lists of a suite, in the store."""

    indexes: tuple[tuple[Archive, Digest], ...]
    expired: bool
    fetched_at_seconds: float

    def to_json(self) -> dict[str, Any]:
        indexes = [[archive, str(digest)] for archive, digest in self.indexes]
        return {"indexes": indexes, "expired": self.expired, "fetched_at_seconds": self.fetched_at_seconds}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> _Lists:
        indexes = tuple((archive, Digest.parse(digest)) for archive, digest in document["indexes"])
        return cls(indexes, bool(document["expired"]), float(document["fetched_at_seconds"]))


def pin_base(
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
    extra: Mapping[str, str] = MappingProxyType({}),
    with_shell: bool = False,
) -> BasePin:
    """Which packages make the base of `suite` for `platform`, with the packages `extra` beyond it: name → why.

    A pin that was made once is reused, without network, until `upgrade` is given.

    Raises:
        PlanError: a package of `extra` does not exist, or something that it needs.
        TryAgainError: the mirror cannot be reached, or its lists have expired and `allow_expired` is not given.
        UntrustedInputError: lists that Debian has not signed, or a file that is not the one they name.
    """
    mirror = find_mirror()
    key = json.dumps(
        [RECIPE, suite.name, str(platform), sorted(extra.items()), with_shell, mirror.debian, mirror.security]
    )
    known = None if session.upgrade else read_fact(session.store, _PIN_FACT, key, _kept_pin)
    if known is not None and (session.allow_expired or not known[0]):
        return known[1]
    with step(session.emit, "base", f"debian:{suite.name} for {platform}") as running:
        lists = _lists(suite, platform, mirror, session=session)
        pin = _choose(suite, platform, _source(lists, platform, session.store), extra=extra, with_shell=with_shell)
        running.detail = _summary(pin)
    session.store.keep_fact(_PIN_FACT, key, {"expired": lists.expired, "pin": _pin_to_json(pin)})
    return pin


def existing_packages(
    names: Collection[str],
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
) -> frozenset[str]:
    """Those of `names` that the suite has, or provides by another package.

    Raises:
        TryAgainError, UntrustedInputError: as `pin_base`.
    """
    if not names:
        return frozenset()
    source = package_source(suite, platform, session=session)
    return frozenset(name for name in names if source.find(name))


def package_source(suite: Suite, platform: Platform, *, session: Session) -> PackageSource:
    """All packages of the suite, its updates and its security updates.

    Raises:
        TryAgainError, UntrustedInputError: as `pin_base`.
    """
    with step(session.emit, "lists", f"packages of debian:{suite.name}"):
        lists = _lists(suite, platform, find_mirror(), session=session)
    return _source(lists, platform, session.store)


def _source(lists: _Lists, platform: Platform, store: Store) -> PackageSource:
    indexes = [open_index(digest, archive=archive, store=store) for archive, digest in lists.indexes]
    return PackageSource(indexes, architecture=platform.architecture)


def _choose(
    suite: Suite, platform: Platform, source: PackageSource, *, extra: Mapping[str, str], with_shell: bool
) -> BasePin:
    base = close(source, roots(suite), excluded=excluded_in_base())
    given = {name: chosen.record for name, chosen in base.items()}
    named = [name for name in sorted(extra) if name not in given]
    beyond = close(source, named, given=given, excluded=excluded_in_extra(named))
    shell: dict[str, Chosen] = {}
    if with_shell:
        together = given | {name: chosen.record for name, chosen in beyond.items()}
        wanted = [name for name in SHELL_PACKAGES if name not in together]
        shell = close(source, wanted, given=together, excluded=excluded_in_extra(()))
    extras = [extra_pin(chosen, extra[chosen.chain[0]]) for chosen in beyond.values()]
    extras += [extra_pin(chosen, "asked for by --with-shell") for chosen in shell.values()]
    return BasePin(
        suite=suite.name,
        python=_python_version(base[f"python{suite.python}-minimal"].record),
        platform=platform,
        packages=tuple(sorted(pin_package(record, "part of the base") for record in given.values())),
        extra_packages=tuple(sorted(extras)),
    )


def extra_pin(chosen: Chosen, root_reason: str) -> DebianPackagePin:
    """A package beyond the base."""
    return replace(pin_package(chosen.record, _because(chosen, root_reason)), root=len(chosen.chain) == 1)


def _because(chosen: Chosen, root_reason: str) -> str:
    """As "needed by libglx0, needed by libgl1, named in system-packages"."""
    return ", ".join([*(f"needed by {name}" for name in reversed(chosen.chain[:-1])), root_reason])


def _python_version(record: PackageRecord) -> str:
    match = re.match(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?", DebianVersion(record.version).upstream.replace("~", ""))
    if match is None:
        raise PlanError(f"{record.name} has the version {record.version}, which says nothing of Python's")
    return match[0]


def _summary(pin: BasePin) -> str:
    beyond = f" and {len(pin.extra_packages)} more" if pin.extra_packages else ""
    return f"{pin.reference}, Python {pin.python}, {len(pin.packages)} packages{beyond}"


def _lists(suite: Suite, platform: Platform, mirror: Mirror, *, session: Session) -> _Lists:
    """The package lists: those of the store while they are fresh, else the mirror's.

    Lists of the store that are older serve while the mirror is in the middle of an update, as with apt.
    """
    key = json.dumps([suite.name, platform.architecture, mirror.debian, mirror.security])
    kept = _kept_lists(key, session)
    if kept is not None and not session.upgrade and 0 <= time.time() - kept.fetched_at_seconds < _FRESH_SECONDS:
        return kept
    try:
        lists = _fetch_lists(suite, platform, mirror, session=session)
    except UnfinishedUpdateError as error:
        if kept is None:
            raise
        session.emit(Notice(f"{error.message}: the package lists that were fetched before are used", "warning"))
        return kept
    session.store.keep_fact(_LISTS_FACT, key, lists.to_json())
    return lists


def _kept_lists(key: str, session: Session) -> _Lists | None:
    """The lists of the store, where all of them are there and may be used."""
    lists = read_fact(session.store, _LISTS_FACT, key, _Lists.from_json)
    if lists is None or not all(session.store.has_blob(digest) for _, digest in lists.indexes):
        return None
    return lists if session.allow_expired or not lists.expired else None


def _fetch_lists(suite: Suite, platform: Platform, mirror: Mirror, *, session: Session) -> _Lists:
    """The mirror's package lists of a suite, its updates and its security updates; what is unchanged is not fetched."""
    parts: list[tuple[Archive, str]] = [("debian", suite.name), ("debian", f"{suite.name}-updates")]
    if suite.security:
        parts.append(("debian-security", f"{suite.name}-security"))

    def fetch(archive: Archive, codename: str) -> tuple[Release, tuple[Archive, Digest]]:
        release = fetch_release(mirror.archive(archive), codename, session=session)
        text = fetch_index(
            release, architecture=platform.architecture, archive=archive, store=session.store, http=session.http
        )
        return release, (archive, text)

    with ThreadPoolExecutor(len(parts)) as pool:
        fetched = [job.result() for job in [pool.submit(fetch, *part) for part in parts]]
    return _Lists(
        indexes=tuple(index for _, index in fetched),
        expired=any(release.expired for release, _ in fetched),
        fetched_at_seconds=time.time(),
    )


def pin_package(record: PackageRecord, because: str) -> DebianPackagePin:
    """The package of an index as a pin has it."""
    return DebianPackagePin(
        name=record.name,
        version=record.version,
        architecture=record.architecture,
        path=record.path,
        archive=record.archive,
        size_bytes=record.size_bytes,
        digest=record.digest,
        because=because,
    )


def packages_to_json(packages: Sequence[DebianPackagePin]) -> list[list[Any]]:
    """The pins of packages as rows."""
    return [
        [
            item.name,
            item.version,
            item.architecture,
            item.path,
            item.archive,
            item.size_bytes,
            item.digest.hex,
            item.because,
            item.root,
        ]
        for item in packages
    ]


def packages_from_json(rows: Sequence[Sequence[Any]]) -> tuple[DebianPackagePin, ...]:
    """What `packages_to_json` made; rows of earlier releases lack the last field."""
    return tuple(
        DebianPackagePin(name, version, architecture, path, archive, size_bytes, Digest(digest), because, *root)
        for name, version, architecture, path, archive, size_bytes, digest, because, *root in rows
    )


def _pin_to_json(pin: BasePin) -> dict[str, Any]:
    return {
        "suite": pin.suite,
        "python": pin.python,
        "platform": str(pin.platform),
        "packages": packages_to_json(pin.packages),
        "extra_packages": packages_to_json(pin.extra_packages),
    }


def _kept_pin(document: Mapping[str, Any]) -> tuple[bool, BasePin]:
    """Whether the pin comes of lists that had expired, and the pin."""
    return bool(document["expired"]), _pin_from_json(document["pin"])


def _pin_from_json(document: Mapping[str, Any]) -> BasePin:
    return BasePin(
        suite=str(document["suite"]),
        python=str(document["python"]),
        platform=Platform.parse(document["platform"]),
        packages=packages_from_json(document["packages"]),
        extra_packages=packages_from_json(document["extra_packages"]),
    )
