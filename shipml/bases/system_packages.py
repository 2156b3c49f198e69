"""Which Debian packages a project needs beyond the base: named by it, needed by native code, or called by packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shipml.debian.contents import packages_with
from shipml.debian.pin import existing_packages
from shipml.events import Notice
from shipml.facts.plan import LockedWheel
from shipml.facts.pythons import Suite
from shipml.oci.manifest import Platform
from shipml.plan import Lock, Project
from shipml.plan.called_programs import called_packages
from shipml.plan.native import MissingLibrary, missing_libraries
from shipml.session import Session
from shipml.text import size_text
from shipml.wheels.facts import native_facts, readable_now

__all__ = ["SystemPackages", "find_system_packages"]


@dataclass(frozen=True, slots=True)
class SystemPackages:
    """What was found."""

    wanted: Mapping[str, str]
    """Name → why: a clause."""
    unresolved: tuple[MissingLibrary, ...] = ()
    """Libraries that no package of the suite has."""


def find_system_packages(
    project: Project,
    lock: Lock,
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
    most_bytes: int | None = None,
) -> SystemPackages:
    """The packages of `suite` that the project needs. Wheels that nothing is known of yet are downloaded and read.

    With `most_bytes`, only if that is not more than so much; else what they need is left to the build, and said.

    What the settings name must exist (whoever pins the base says so); anything else that the suite does not have is
    left out with a warning.

    Raises:
        UntrustedInputError: a wheel, or an index, is not what it should be.
        TryAgainError, NotAllowedError, BuildError: something is not available.
    """
    facts = native_facts(_to_read(lock.wheels, session, most_bytes), session=session, platform=platform)
    missing = missing_libraries({wheel.name: found for wheel, found in facts.items()})
    owners = packages_with(
        [library.soname for library in missing],
        suite,
        platform,
        session=session,
    )
    maybe: dict[str, str] = {}
    for package in project.system_packages:
        if package.left_out:
            session.emit(Notice(f"{package.name} of {package.source} is left out: {package.left_out}"))
        else:
            maybe.setdefault(package.name, f"{package.source} names {package.written or 'it'}")
    for library in missing:
        for owner in owners[library.soname][:1]:
            maybe.setdefault(owner, f"{library.wheel} needs {library.soname} ({library.file})")
    for name, because in called_packages([wheel.name for wheel in lock.wheels], project.standard_modules):
        maybe.setdefault(name, because)
    known = existing_packages(maybe, suite, platform, session=session)
    for name, because in maybe.items():
        if name not in known:
            session.emit(Notice(f"debian:{suite.name} has no package {name} ({because}): it is left out", "warning"))
    unresolved = tuple(library for library in missing if not owners[library.soname])
    if unresolved:
        session.emit(Notice(_unresolved_sentence(unresolved, suite), "warning"))
    named = dict.fromkeys(project.settings.system_packages, "named in system-packages")
    return SystemPackages({name: because for name, because in maybe.items() if name in known} | named, unresolved)


def _to_read(wheels: Sequence[LockedWheel], session: Session, most_bytes: int | None) -> Sequence[LockedWheel]:
    if most_bytes is None:
        return wheels
    affordable, left_bytes = readable_now(wheels, session.store, most_bytes=most_bytes)
    if left_bytes:
        what = f"the build, which downloads {size_text(left_bytes)}"
        session.emit(Notice(f"which system libraries the wheels need is looked up by {what}"))
    return affordable


def _unresolved_sentence(libraries: tuple[MissingLibrary, ...], suite: Suite) -> str:
    shown = ", ".join(f"{library.soname} (for {library.wheel})" for library in libraries[:5])
    more = f" and {len(libraries) - 5} more" if len(libraries) > 5 else ""  # noqa: PLR2004
    return f"no package of debian:{suite.name} has {shown}{more}: what needs it may fail"
