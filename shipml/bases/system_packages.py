"""Which Debian packages a project needs beyond the base: named by it, needed by native code, or called by packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shipml.bases.image_packages import suite_of
from shipml.bases.installed import installed_in
from shipml.debian.contents import packages_with
from shipml.debian.pin import existing_packages
from shipml.errors import PlanError
from shipml.events import Notice
from shipml.facts.plan import ImageBasePin, LockedWheel
from shipml.facts.pythons import Suite
from shipml.oci.manifest import Platform
from shipml.plan import Lock, Project
from shipml.plan.called_programs import called_packages, uncalled
from shipml.plan.native import MissingLibrary, missing_libraries
from shipml.project.data import module_names, normalised
from shipml.session import Session
from shipml.text import listed, size_text
from shipml.wheels.facts import native_facts, readable_now

__all__ = ["SystemPackages", "find_system_packages"]

_OF_THE_INTERPRETER = {"python3-tk": "libtk8.6", "python3-lib2to3": ""}
"""Where the Python is not Debian's, it has these modules itself, and lacks at most a library of theirs."""


@dataclass(frozen=True, slots=True)
class SystemPackages:
    """What was found."""

    wanted: Mapping[str, str]
    """Name → why: a clause."""
    unresolved: tuple[MissingLibrary, ...] = ()
    """Libraries that no package of the suite has."""


@dataclass(frozen=True, slots=True)
class _Needs:
    """What a project needs, before any suite is asked."""

    settings: Mapping[str, str]
    """Packages that must exist."""
    named: Mapping[str, str]
    """Packages that a file of the project names: name → why."""
    called: Mapping[str, str]
    """Packages whose programs or libraries are called by name."""
    missing: Sequence[MissingLibrary]


def find_system_packages(
    project: Project,
    lock: Lock,
    base: Suite | ImageBasePin,
    *,
    session: Session,
    most_bytes: int | None = None,
) -> SystemPackages:
    """The packages of the base's suite that the project needs. Wheels that nothing is known of are downloaded and read.

    With `most_bytes`, only if that is not more than so much; else what they need is left to the build, and said.

    What the settings name must exist (whoever pins the base says so); anything else that the suite does not have is
    not installed, with a warning.

    Raises:
        PlanError: packages are named, and the base is an image that takes none of Debian's.
        UntrustedInputError: a wheel, or an index, is not what it should be.
        TryAgainError, NotAllowedError, BuildError: something is not available.
    """
    facts = native_facts(_to_read(lock.wheels, session, most_bytes), session=session, platform=lock.platform)
    found = {wheel.name: one for wheel, one in facts.items()}
    needs = _Needs(
        settings=dict.fromkeys(project.settings.system_packages, "named in system-packages"),
        named=_named(project, session),
        called=_called(project, lock, base, session),
        missing=missing_libraries(found, on_image=isinstance(base, ImageBasePin)),
    )
    if isinstance(base, Suite):
        return _of_suite(needs, base, lock.platform, session)
    if not (needs.settings or needs.named or needs.called or needs.missing):
        return SystemPackages({})
    return _of_image(needs, base, session)


def _named(project: Project, session: Session) -> Mapping[str, str]:
    named: dict[str, str] = {}
    for package in project.system_packages:
        if package.left_out:
            session.emit(Notice(f"{package.name} of {package.source} is not installed: {package.left_out}"))
        else:
            named.setdefault(package.name, f"{package.source} names {package.written or 'it'}")
    return named


def _called(project: Project, lock: Lock, base: Suite | ImageBasePin, session: Session) -> Mapping[str, str]:
    """For what the program imports: what a package merely lists is loaded by nobody."""
    called: dict[str, str] = {}
    names = {wheel.name for wheel in lock.wheels}
    unused = uncalled(names, _imported(project))
    left_out = sorted({package for package, _ in called_packages(unused)})
    if left_out:
        what = f"{listed(left_out)} {'is' if len(left_out) == 1 else 'are'} not installed: nothing that the program"
        session.emit(
            Notice(f"{what} imports calls {'it' if len(left_out) == 1 else 'them'} ({listed(sorted(unused))})")
        )
    has_own_python = isinstance(base, ImageBasePin) and not base.interpreter.startswith("/usr/bin/")
    for name, because in called_packages(names - unused, project.standard_modules):
        package = _OF_THE_INTERPRETER.get(name, name) if has_own_python else name
        if package:
            called.setdefault(package, because if package == name else "the module tkinter loads it")
    return called


def _imported(project: Project) -> frozenset[str]:
    """Normalised names of what the program imports; of what is asked for, where it has no code that could be read."""
    names = {normalised(module.root) for module in project.imports}
    for module in project.imports:
        names.update(map(normalised, module_names().distributions(module.name, module.members) or ()))
    asked = project.requirements.requirements if project.requirements is not None and not names else ()
    return frozenset({*names, *(one.name for one in asked)})


def _of_image(needs: _Needs, image: ImageBasePin, session: Session) -> SystemPackages:
    installed = installed_in(image, session=session)
    missing = [library for library in needs.missing if library.soname not in installed.libraries]
    called = {name: because for name, because in needs.called.items() if name not in installed.packages}
    suite = suite_of(image, installed)
    if suite is not None:
        return _of_suite(_Needs(needs.settings, needs.named, called, missing), suite, image.platform, session)
    why = f"{image.reference} takes no packages of Debian: its suite or its list of packages is not known"
    if needs.settings or needs.named:
        reasons = listed(f"{name} ({because})" for name, because in {**needs.named, **needs.settings}.items())
        raise PlanError(
            f"{why}, and {reasons} cannot be added",
            hint="choose a base of Debian's own: --base debian:bookworm, or an image made from Debian",
        )
    lacking = [f"{library.soname} (for {library.wheel})" for library in missing]
    lacking += [f"{name} ({because})" for name, because in called.items()]
    if lacking:
        session.emit(Notice(f"{why}, and it lacks {listed(lacking)}: what needs it may fail", "warning"))
    return SystemPackages({}, tuple(missing))


def _of_suite(needs: _Needs, suite: Suite, platform: Platform, session: Session) -> SystemPackages:
    owners = packages_with([library.soname for library in needs.missing], suite, platform, session=session)
    maybe = dict(needs.named)
    for library in needs.missing:
        for owner in owners[library.soname][:1]:
            maybe.setdefault(owner, f"{library.wheel} needs {library.soname} ({library.file})")
    for name, because in needs.called.items():
        maybe.setdefault(name, because)
    known = existing_packages(maybe, suite, platform, session=session)
    for name, because in maybe.items():
        if name not in known:
            what = f"debian:{suite.name} has no package {name} ({because}): it is not installed"
            session.emit(Notice(what, "warning"))
    unresolved = tuple(library for library in needs.missing if not owners[library.soname])
    if unresolved:
        shown = listed(f"{library.soname} (for {library.wheel})" for library in unresolved)
        what = f"no package with {shown} was found in debian:{suite.name}: what needs it may fail"
        session.emit(Notice(what, "warning"))
    wanted = {name: because for name, because in maybe.items() if name in known}
    return SystemPackages({**wanted, **needs.settings}, unresolved)


def _to_read(wheels: Sequence[LockedWheel], session: Session, most_bytes: int | None) -> Sequence[LockedWheel]:
    if most_bytes is None:
        return wheels
    affordable, left_bytes = readable_now(wheels, session.store, most_bytes=most_bytes)
    if left_bytes:
        what = f"the build, which downloads {size_text(left_bytes)}"
        session.emit(Notice(f"which system libraries the wheels need is looked up by {what}"))
    return affordable
