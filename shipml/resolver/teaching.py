"""What a failed import check teaches about versions, asked of the index: who is too new, and what nobody asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shipml.facts.project import Lock, Project
from shipml.facts.releases import cutoff
from shipml.facts.requirements import Learned, Requirements
from shipml.failed_imports import FailedImport
from shipml.plan.lessons import Lesson
from shipml.project.data import module_names, normalised
from shipml.resolver.blame import blamed, is_about_versions, suspects
from shipml.resolver.dating import OLD_PINS
from shipml.resolver.pins import known_pins
from shipml.resolver.release_lookup import newest_releases
from shipml.resolver.uv import Uv, UvError

__all__ = ["teach"]

_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Image:
    """What was installed where the imports failed."""

    declared: Requirements
    lock: Lock
    uv: Uv
    versions: Mapping[str, str]
    """By name."""

    def newest(self, lines: Sequence[str], *arguments: str) -> dict[str, tuple[str, datetime]]:
        """Version and upload of the newest release that fits each line, by name."""
        found = newest_releases(self.uv, lines, self.declared.options, *arguments, python=self.lock.python)
        return {name: (one.version, one.uploaded_at) for name, one in found.items() if one.uploaded_at is not None}

    def version_at(self, name: str, at: datetime) -> str:
        """The version of a package as of the day after `at`; "" where there was none."""
        time = cutoff(at).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.newest([name], "--exclude-newer", time).get(name, ("",))[0]


def teach(
    failures: Sequence[FailedImport],
    known: Lesson,
    *,
    project: Project,
    lock: Lock,
    uv: Uv,
    now: datetime | None = None,
) -> Lesson | None:
    """What failures teach beyond what is `known`; None where that is nothing.

    Args:
        failures: of one image.
        known: what earlier failures taught.
        project: what was built.
        lock: what was installed, all of it wheels.
        uv: of the project.
        now: the present.
    """
    declared = project.requirements
    if declared is None or known.rounds >= _MOST_ROUNDS:
        return None
    image = _Image(declared, lock, uv, {wheel.name: wheel.version for wheel in lock.wheels})
    if not known.is_of_its_commit and _is_of_another_day(project, lock, failures, now or datetime.now(UTC)):
        return replace(known, is_of_its_commit=True, rounds=known.rounds + 1)
    try:
        bounds = {one.name: one for failed in failures for one in _too_new(failed, image)}
        needs = {one.name: one for failed in failures for one in _unstated(failed, image)}
    except UvError:
        return None
    news = [one for one in bounds.values() if one not in known.bounds]
    packages = [one for one in needs.values() if one.name not in {each.name for each in known.packages}]
    if not news and not packages:
        return None
    kept = tuple(one for one in known.bounds if one.name not in bounds)
    return replace(
        known,
        bounds=(*kept, *bounds.values()),
        packages=(*known.packages, *packages),
        rounds=known.rounds + 1,
    )


def _is_of_another_day(project: Project, lock: Lock, failures: Sequence[FailedImport], now: datetime) -> bool:
    """Whether the code of a project that nobody has changed for long wants packages of its last commit.

    Without pins, where those of today fail; with pins, where those of the pins' day lack a name that the code imports.
    """
    declared, revision = project.requirements, project.revision
    if declared is None or revision is None:
        return False
    if now - datetime.fromtimestamp(revision.committed_at_seconds, UTC) <= OLD_PINS:
        return False
    is_dated = any(one.kind == "index" for one in lock.decisions)
    pinned = {pin.name for pin in known_pins(declared)}
    if is_dated:
        own = [one.traces[0] for one in failures if one.traces and not one.traces[0].packages]
        return bool(pinned) and any(set(trace.named) - pinned for trace in own)
    return not pinned and any(map(is_about_versions, failures))


def _too_new(failed: FailedImport, image: _Image) -> Iterator[Learned]:
    """The upper end for the package that a failure blames."""
    names = suspects(failed.traces, image.versions)
    if len(names) < 2:  # noqa: PLR2004 - it takes two
        return
    found = image.newest([f"{name}=={image.versions[name]}" for name in names])
    uploads = {name: uploaded_at for name, (_, uploaded_at) in found.items()}
    blame = blamed(failed.traces, uploads, {pin.name for pin in known_pins(image.declared)})
    if blame is None:
        return
    package, failing = blame.package, blame.failing
    then = image.version_at(package, blame.at)
    if then and then != image.versions[package]:
        because = (
            f"{failing} {image.versions[failing]} of {blame.at:%Y-%m-%d} fails with {package}"
            f" {image.versions[package]} of {uploads[package]:%Y-%m-%d}, so {package} is taken as it was then"
        )
        yield Learned(f"{package}<={then}", because, failed.source)


def _unstated(failed: FailedImport, image: _Image) -> Iterator[Learned]:
    """The package of a module that an installed package imports and nobody asks for."""
    trace = next(iter(failed.traces), None)
    if trace is None or trace.error != "ModuleNotFoundError" or not trace.packages or trace.named or not failed.missing:
        return
    importer = trace.packages[-1]
    names = module_names().distributions(failed.missing)
    if not names or importer not in image.versions or normalised(names[0]) in image.versions:
        return
    name, version = normalised(names[0]), image.versions[importer]
    known = image.newest([f"{importer}=={version}"]).get(importer)
    then = image.version_at(name, known[1]) if known is not None else ""
    because = f"{importer} {version} imports {failed.missing} and does not ask for {name}"
    yield Learned(f"{name}<={then}" if then else name, because, failed.source)
