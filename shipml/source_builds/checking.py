"""Whether what a build made is the wheel that was asked for, and fits the image."""

from __future__ import annotations

from shipml.errors import BuildError, UntrustedInputError
from shipml.facts.plan import LockedSource, LockedWheel
from shipml.facts.pythons import PythonBase
from shipml.lock import wheel_tags
from shipml.oci.manifest import Platform
from shipml.source_builds.attempt import Outcome
from shipml.store import Store
from shipml.wheels.archive import Archive
from shipml.wheels.metadata import read_metadata

__all__ = ["checked_wheel"]


def checked_wheel(
    source: LockedSource, outcome: Outcome, suite: PythonBase, platform: Platform, store: Store
) -> LockedWheel:
    """The wheel that `outcome` left in the store.

    Raises:
        BuildError: it is another package, another version, or does not run on the suite and platform.
        UntrustedInputError: it is broken.
    """
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
    from packaging.version import Version

    if outcome.digest is None:
        raise BuildError(f"the build of {source.name} left no wheel")
    try:
        name, version, _, tags = parse_wheel_filename(outcome.wheel)
    except InvalidWheelFilename as error:
        raise BuildError(f"the build of {source.name} made {outcome.wheel[:200]!r}, which is not a wheel") from error
    if canonicalize_name(source.name) != name or Version(source.version) != version:
        raise BuildError(
            f"the source of {source.name}=={source.version} built {name}=={version}",
            hint=f"choose another version of {source.name}",
        )
    if tags.isdisjoint(wheel_tags(suite, platform)):
        raise BuildError(
            f"{source.name}=={source.version} built {outcome.wheel}, which does not run on Python {suite.python}"
            f" for {platform}",
            hint=f"choose a version of {source.name} that has a wheel",
        )
    path = store.blob_path(outcome.digest)
    wheel = LockedWheel(
        name=source.name,
        version=str(version),
        url=path.as_uri(),
        size_bytes=outcome.size_bytes,
        digest=outcome.digest,
        filename=outcome.wheel,
    )
    try:
        read_metadata(Archive(path, wheel.filename), wheel)
    except UntrustedInputError as error:
        raise BuildError(f"the wheel that the build of {source.name} made is broken: {error.message}") from error
    return wheel
