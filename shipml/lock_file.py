"""The lock as a file: a standard pylock.toml (PEP 751) that also pins the base, under [tool.shipml]."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from shipml.errors import PlanError, ResolutionError, ShipmlError
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan.facts import Lock
from shipml.plan.model import Base, BaseLayerPin, BasePin, DebianPackagePin, ImageBasePin, LockedSource, LockedWheel
from shipml.plan.suites import ImagePython, PythonBase, suite_named
from shipml.project.text import parse_toml

if TYPE_CHECKING:
    from packaging.markers import Environment

__all__ = ["dump_lock", "load_lock", "locked_image", "marker_environment", "select_wheels", "wheel_tags"]

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
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
    wheels, sources = _select_files(document, suite, platform, folder)
    if sources:
        names = ", ".join(sorted(package.name for package, _, _ in sources))
        raise ResolutionError(
            f"no wheel for {names}: there is only source, which would have to be built",
            hint="choose versions that have wheels, or let an engine build: shipml build --builder docker",
        )
    return wheels


def _select_files(
    document: Mapping[str, Any], suite: PythonBase, platform: Platform, folder: Path
) -> tuple[list[LockedWheel], list[tuple[Any, Any, str]]]:
    """`select_wheels`, and (package, what there is of it, file name) of each that has no wheel which fits."""
    from packaging.pylock import Pylock, PylockSelectError, PylockValidationError  # noqa: PLC0415 - slow to import

    try:
        lock = Pylock.from_dict(document)
        chosen = list(
            lock.select(environment=marker_environment(suite, platform), tags=list(wheel_tags(suite, platform)))
        )
    except (PylockValidationError, PylockSelectError, ValueError) as error:
        raise ResolutionError(f"the lock does not fit Python {suite.python} on {platform}: {error}") from error
    wheels, sources = [], []
    for package, source in chosen:
        filename = _filename(source)
        if filename.endswith(".whl"):
            wheels.append(_locked(package, source, filename, folder))
        else:
            sources.append((package, source, filename))
    return sorted(wheels), sources


def _filename(source: Any) -> str:  # noqa: ANN401 - one of packaging's five kinds
    name = getattr(source, "name", None) or getattr(source, "path", None) or getattr(source, "url", None) or ""
    return unquote(urlsplit(str(name)).path.rpartition("/")[2])


def _locked(package: Any, source: Any, filename: str, folder: Path) -> LockedWheel:  # noqa: ANN401
    from packaging.utils import parse_wheel_filename  # noqa: PLC0415 - slow to import

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


def _locked_source(package: Any, source: Any, filename: str, folder: Path) -> LockedSource:  # noqa: ANN401
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
        "platform_machine": _MACHINES[platform.architecture],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": suite.release,
        "python_version": suite.python,
        "sys_platform": "linux",
    }


def wheel_tags(suite: PythonBase, platform: Platform) -> Iterator[Any]:
    """The wheel tags that run in the image, best first (PEP 425, 600)."""
    from packaging.tags import compatible_tags, cpython_tags  # noqa: PLC0415 - slow to import

    machine = _MACHINES[platform.architecture]
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


def dump_lock(lock: Lock, base: Base | None) -> str:
    """`lock` and `base` as the text of a pylock.toml; equal locks are equal texts."""
    machine = _MACHINES[lock.platform.architecture]
    marker = f"sys_platform == 'linux' and platform_machine == '{machine}' and python_version == '{lock.python}'"
    lines = [
        'lock-version = "1.0"',
        f"environments = [{_string(marker)}]",
        'created-by = "shipml"',
    ]
    packages: list[LockedWheel | LockedSource] = [*lock.wheels, *lock.sources]
    for one in sorted(packages, key=lambda one: one.name):
        lines += [
            "",
            "[[packages]]",
            f"name = {_string(one.name)}",
            f"version = {_string(one.version)}",
            _dump_file(one),
        ]
    lines += [
        "",
        "[tool.shipml]",
        f"inputs = {_string(str(lock.inputs))}",
        f"suite = {_string(lock.suite)}",
        f"platform = {_string(str(lock.platform))}",
        *(_dump_base(base) if base is not None else ()),
    ]
    return "\n".join(lines) + "\n"


def _dump_file(one: LockedWheel | LockedSource) -> str:
    """The file of a package, as a line."""
    size = f", size = {one.size_bytes}" if one.size_bytes is not None else ""
    hashes = f"hashes = {{ sha256 = {_string(one.digest.hex)} }}"
    if isinstance(one, LockedSource):
        uploaded = f", upload-time = {one.uploaded_at}" if one.uploaded_at else ""
        return f"sdist = {{ name = {_string(one.filename)}{uploaded}, url = {_string(one.url)}{size}, {hashes} }}"
    if one.direct:
        return f"archive = {{ url = {_string(one.url)}{size}, {hashes} }}"
    return f"wheels = [{{ name = {_string(one.filename)}, url = {_string(one.url)}{size}, {hashes} }}]"


def _dump_base(base: Base) -> Iterator[str]:
    yield ""
    yield "[tool.shipml.base]"
    yield f"python = {_string(base.python)}"
    if isinstance(base, ImageBasePin):
        yield from _dump_image(base)
    for key, packages in (("packages", base.packages), ("extra-packages", base.extra_packages)):
        for package in packages:
            fields = {
                "name": package.name,
                "version": package.version,
                "architecture": package.architecture,
                "archive": package.archive,
                "path": package.path,
                "sha256": package.digest.hex,
                "because": package.because,
            }
            yield ""
            yield f"[[tool.shipml.base.{key}]]"
            yield from (f"{name} = {_string(value)}" for name, value in fields.items())
            yield f"size = {package.size_bytes}"


def _dump_image(base: ImageBasePin) -> Iterator[str]:
    fields = {
        "image": base.reference,
        "digest": str(base.digest),
        "glibc": base.glibc,
        "interpreter": base.interpreter,
        "debian": base.suite,
    }
    yield from (f"{name} = {_string(value)}" for name, value in fields.items() if value)
    variables = ", ".join(f"{_string(name)} = {_string(value)}" for name, value in base.environment)
    yield f"environment = {{ {variables} }}"
    for layer in base.layers:
        yield ""
        yield "[[tool.shipml.base.layers]]"
        yield f"media-type = {_string(layer.media_type)}"
        yield f"digest = {_string(str(layer.digest))}"
        yield f"diff-id = {_string(str(layer.diff_id))}"
        yield f"size = {layer.size_bytes}"


def _string(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def load_lock(text: str, folder: Path, source: str = "pylock.toml") -> Lock | None:
    """The lock in a text that `dump_lock` wrote, its base in `Lock.base`; None for a pylock.toml of others.

    Args:
        text: the file's text.
        folder: where paths in it start.
        source: its name, for messages.

    Raises:
        ConfigurationError: it is no TOML.
        PlanError: it is one of ours and damaged.
    """
    document = parse_toml(source, text)
    tool = document.get("tool", {})
    table = tool.get("shipml") if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        return None
    try:
        platform = Platform.parse(str(table["platform"]))
        base = _load_base(table["base"], str(table["suite"]), platform) if "base" in table else None
        suite = _python_base(base, str(table["suite"]), source)
        wheels, sources = _select_files(document, suite, platform, folder)
        return Lock(
            wheels=tuple(wheels),
            sources=tuple(sorted(_locked_source(*one, folder) for one in sources)),
            suite=suite.name,
            python=suite.python,
            platform=platform,
            inputs=Digest.parse(str(table["inputs"])),
            base=base,
            source=source,
        )
    except (KeyError, TypeError, AttributeError, ShipmlError) as error:
        raise PlanError(f"{source} is damaged: {error}", hint="write it anew: shipml plan --lock") from error


def locked_image(text: str) -> ImageBasePin | None:
    """The image that a pylock.toml pins as base; None where it pins none, or is not ours, or is damaged."""
    with contextlib.suppress(ShipmlError, KeyError, TypeError, AttributeError):
        table = parse_toml("pylock.toml", text)["tool"]["shipml"]
        base = _load_base(table["base"], str(table["suite"]), Platform.parse(str(table["platform"])))
        return base if isinstance(base, ImageBasePin) else None
    return None


def _python_base(base: Base | None, name: str, source: str) -> PythonBase:
    if isinstance(base, ImageBasePin):
        return ImagePython.of(base)
    suite = suite_named(name)
    if suite is None:
        raise PlanError(f"{source} is for the suite {name!r}, which is not known")
    return suite


def _load_base(table: Mapping[str, Any], suite: str, platform: Platform) -> Base:
    if "image" in table:
        return _load_image(table, platform)
    return BasePin(
        suite=suite,
        python=str(table["python"]),
        platform=platform,
        packages=tuple(_load_package(item) for item in table.get("packages", ())),
        extra_packages=tuple(_load_package(item) for item in table.get("extra-packages", ())),
    )


def _load_image(table: Mapping[str, Any], platform: Platform) -> ImageBasePin:
    return ImageBasePin(
        reference=str(table["image"]),
        digest=Digest.parse(str(table["digest"])),
        python=str(table["python"]),
        glibc=str(table["glibc"]),
        interpreter=str(table["interpreter"]),
        platform=platform,
        layers=tuple(_load_layer(item) for item in table["layers"]),
        environment=tuple(sorted((str(name), str(value)) for name, value in table["environment"].items())),
        suite=str(table.get("debian", "")),
        extra_packages=tuple(_load_package(item) for item in table.get("extra-packages", ())),
    )


def _load_layer(table: Mapping[str, Any]) -> BaseLayerPin:
    return BaseLayerPin(
        str(table["media-type"]),
        Digest.parse(str(table["digest"])),
        Digest.parse(str(table["diff-id"])),
        _size_bytes(table["size"], f"the layer {table['digest']}"),
    )


def _size_bytes(value: object, what: str) -> int:
    if not isinstance(value, int) or value < 0:
        raise PlanError(f"{what} has the size {value!r}")
    return value


def _load_package(table: Mapping[str, Any]) -> DebianPackagePin:
    path, archive = str(table["path"]), table["archive"]
    if path.startswith("/") or ".." in path.split("/") or archive not in ("debian", "debian-security"):
        raise PlanError(f"the package {table['name']} lies at {path!r} of {archive!r}")
    return DebianPackagePin(
        name=str(table["name"]),
        version=str(table["version"]),
        architecture=str(table["architecture"]),
        path=path,
        archive=archive,
        size_bytes=_size_bytes(table["size"], f"the package {table['name']}"),
        digest=Digest(str(table["sha256"])),
        because=str(table["because"]),
    )
