"""Which of the files that a pylock.toml names run in the image: the best wheel of each package, else its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit, urlunsplit

from shipml.errors import ResolutionError
from shipml.facts.plan import LockedSource, LockedWheel
from shipml.facts.pythons import PythonBase
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform

__all__ = [
    "MACHINES",
    "fits",
    "locked_source",
    "marker_environment",
    "marker_holds",
    "select_files",
    "select_wheels",
    "wheel_tags",
]

if TYPE_CHECKING:
    from packaging.markers import Environment
    from packaging.requirements import Requirement


MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""What the kernel calls an architecture of OCI's."""
_OLDEST_GLIBC = 5
"""manylinux1 is glibc 2.5."""


def select_wheels(
    document: Mapping[str, Any], suite: PythonBase, platform: Platform, folder: Path
) -> list[LockedWheel]:
    """The best wheel for the suite and platform of each package that a pylock.toml document names, sorted by name.

    Args:
        document: the parsed file.
        suite: whose Python and C library the wheels must run on.
        platform: what they must run on.
        folder: where paths in the document start.

    Raises:
        ResolutionError: a package has no wheel that fits, or none that is pinned by SHA-256; names them all.
    """
    wheels, sources = select_files(document, suite, platform, folder)
    if sources:
        names = ", ".join(sorted(package.name for package, _, _ in sources))
        raise ResolutionError(
            f"no wheel for {names}: there is only source, which would have to be built",
            hint="choose versions that have wheels, or let an engine build: shipml build --builder docker",
        )
    return wheels


def select_files(
    document: Mapping[str, Any], suite: PythonBase, platform: Platform, folder: Path
) -> tuple[list[LockedWheel], list[tuple[Any, Any, str]]]:
    """`select_wheels`, and (package, what there is of it, file name) of each that has no wheel which fits."""
    from packaging.pylock import Pylock, PylockSelectError, PylockValidationError

    try:
        lock = Pylock.from_dict(document)
        chosen = list(
            lock.select(environment=marker_environment(suite, platform), tags=list(wheel_tags(suite, platform)))
        )
    except (PylockValidationError, PylockSelectError, ValueError) as error:
        raise ResolutionError(f"the lock does not fit Python {suite.python} on {platform}: {error}") from error
    wheels, sources = [], []
    for package, source in chosen:
        if package.directory is not None and _lies_in(folder, package.directory.path):
            continue  # the project's own files are in the image as they are
        filename = _filename(source)
        if filename.endswith(".whl"):
            wheels.append(_locked(package, source, filename, folder))
        else:
            sources.append((package, source, filename))
    return sorted(wheels), sources


def _lies_in(folder: Path, path: str) -> bool:
    top = folder.resolve()
    return (top / path).resolve().is_relative_to(top)


def _filename(source: Any) -> str:  # noqa: ANN401 - one of packaging's five kinds
    name = getattr(source, "name", None) or getattr(source, "path", None) or getattr(source, "url", None) or ""
    return unquote(urlsplit(str(name)).path.rpartition("/")[2])


def _locked(package: Any, source: Any, filename: str, folder: Path) -> LockedWheel:  # noqa: ANN401
    from packaging.utils import parse_wheel_filename

    version = package.version or parse_wheel_filename(filename)[1]
    return LockedWheel(
        name=package.name,
        version=str(version),
        url=_url(source, folder),
        size_bytes=source.size,
        digest=_digest(source, filename),
        filename=filename,
        direct=package.is_direct,
    )


def locked_source(package: Any, source: Any, filename: str, folder: Path) -> LockedSource:  # noqa: ANN401
    """The source of a package that `select_files` found no wheel for.

    Raises:
        ResolutionError: it is none of an index, or not pinned by SHA-256.
    """
    if not hasattr(source, "hashes") or package.version is None:
        raise ResolutionError(
            f"{package.name} is neither a wheel nor a source distribution of an index",
            hint="take a released version of it",
        )
    time = getattr(source, "upload_time", None)
    return LockedSource(
        name=package.name,
        version=str(package.version),
        url=_url(source, folder),
        size_bytes=source.size,
        digest=_digest(source, filename),
        filename=filename,
        uploaded_at="" if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _url(source: Any, folder: Path) -> str:  # noqa: ANN401
    return _without_credentials(source.url) if source.url else (folder.absolute() / source.path).as_uri()


def _digest(source: Any, filename: str) -> Digest:  # noqa: ANN401
    sha256 = source.hashes.get("sha256")
    if not sha256:
        raise ResolutionError(
            f"the index gives no SHA-256 for {filename}", hint="use an index that does, as PEP 503 recommends"
        )
    return Digest(sha256.lower())


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def marker_environment(suite: PythonBase, platform: Platform) -> Environment:
    """The marker environment of the image (PEP 508)."""
    return {
        "implementation_name": "cpython",
        "implementation_version": suite.release,
        "os_name": "posix",
        "platform_machine": MACHINES[platform.architecture],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": suite.release,
        "python_version": suite.python,
        "sys_platform": "linux",
    }


def marker_holds(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    """Whether a requirement counts there (PEP 508); a marker that compares what has no order counts, and uv decides."""
    from packaging.markers import InvalidMarker, UndefinedComparison, UndefinedEnvironmentName

    try:
        return requirement.marker is None or requirement.marker.evaluate(cast("dict[str, str]", environment))
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName):
        return True


def wheel_tags(suite: PythonBase, platform: Platform) -> Iterator[Any]:
    """The wheel tags that run in the image, best first (PEP 425, 600)."""
    from packaging.tags import compatible_tags, cpython_tags

    machine = MACHINES[platform.architecture]
    newest = int(suite.glibc.partition(".")[2])
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    platforms = []
    for minor in range(newest, _OLDEST_GLIBC - 1, -1):
        platforms.append(f"manylinux_2_{minor}_{machine}")
        if minor in legacy:
            platforms.append(f"{legacy[minor]}_{machine}")
    platforms.append(f"linux_{machine}")
    version = tuple(int(part) for part in suite.python.split("."))
    yield from cpython_tags(version, platforms=platforms)
    yield from compatible_tags(version, f"cp{suite.python.replace('.', '')}", platforms=platforms)


def fits(base: PythonBase, platform: Platform) -> Callable[[str], bool]:
    """Whether the wheel of a file name runs on `base` (PEP 425, 427)."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    tags = frozenset(wheel_tags(base, platform))

    def fitting(filename: str) -> bool:
        try:
            return not tags.isdisjoint(parse_wheel_filename(filename)[3])
        except InvalidWheelFilename:
            return False

    return fitting
