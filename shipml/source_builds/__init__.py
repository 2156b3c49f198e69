"""Packages without wheels → wheels: built once, in the sandbox, on the image's own base with Debian's compilers.

`build_wheels` is the way in. What was built is kept by the hash of all that it depends on; a second plan builds
nothing. Nothing of a source is run outside the sandbox, and inside there is no network and no root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shipml.errors import UnavailableError
from shipml.facts.plan import (
    Base,
    BasePin,
    Decision,
    LockedSource,
)
from shipml.facts.project import Lock, Project
from shipml.facts.pythons import ImagePython, PythonBase
from shipml.oci.manifest import Platform
from shipml.session import Session

__all__ = ["build_wheels"]


def build_wheels(
    lock: Lock,
    project: Project,
    *,
    session: Session,
    suite: PythonBase,
    image: Base | None = None,
) -> Lock:
    """The lock with wheels in place of its sources, each a decision.

    Args:
        lock: with sources.
        project: whose indexes and compilers' headers count.
        suite: of the lock.
        image: the pinned image, where the base is one.
        session: keeps what was built, downloads, and hears of each build.

    Raises:
        UnavailableError: nothing can be built here; names the packages.
        BuildError: a build failed; says the cause and what may fix it.
        ResolutionError: what builds a source is not available, or sources need each other.
        TryAgainError, NotAllowedError, UntrustedInputError: something is not available, or is not what it must be.
    """
    if not lock.sources:
        return lock
    _require_here(lock.sources, lock.platform)
    from shipml.source_builds.building import Building

    if isinstance(suite, ImagePython) and (image is None or isinstance(image, BasePin)):
        raise UnavailableError(
            f"{_names(lock.sources)} must be built, and the base {suite.name} is not pinned",
            hint="let an engine build: shipml build --builder docker with a Dockerfile of your own",
        )
    building = Building(lock, project, suite, image, session=session)
    built = building.run()
    decisions = tuple(
        Decision("built", f"{one.wheel.name} {one.wheel.version}", one.because) for one in built if one.because
    )
    wheels = tuple(sorted((*lock.wheels, *(one.wheel for one in built))))
    return replace(lock, wheels=wheels, sources=(), decisions=(*lock.decisions, *decisions))


def _require_here(sources: Sequence[LockedSource], platform: Platform) -> None:
    """Builds need the sandbox, which needs Linux and the image's own kind of machine."""
    import sys

    hint = "let an engine build, with a Dockerfile of your own: shipml build --builder docker; or choose versions that"
    hint += " have wheels"
    if sys.platform != "linux":
        raise UnavailableError(
            f"there is no wheel of {_names(sources)}, and building from source needs Linux, for the sandbox", hint=hint
        )
    here = Platform.of_this_machine()
    if platform != here:
        raise UnavailableError(
            f"there is no wheel of {_names(sources)}, and this machine builds sources for {here}, not for {platform}",
            hint=hint,
        )


def _names(sources: Sequence[LockedSource]) -> str:
    return ", ".join(f"{one.name}=={one.version}" for one in sources)
