"""Reading a lock: nothing in the file is trusted, it may have been changed by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shipml.errors import PlanError, ShipmlError
from shipml.facts.plan import (
    Base,
    BaseLayerPin,
    BasePin,
    DebianPackagePin,
    ImageBasePin,
    LockedLayer,
)
from shipml.facts.project import Lock
from shipml.facts.pythons import ImagePython, PythonBase, suite_named
from shipml.lock.choosing import locked_source, select_files
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.project.text import parse_toml

__all__ = ["load_lock", "locked_image"]


def load_lock(text: str, folder: Path, source: str = "pylock.toml") -> Lock | None:
    """The lock in a text that `dump_lock` wrote, its base in `Lock.base`; None for a pylock.toml of others.

    Args:
        text: the file's text.
        folder: where paths in it start.
        source: its name, for messages.

    Raises:
        ConfigurationError: it is not TOML.
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
        wheels, sources = select_files(document, suite, platform, folder)
        return Lock(
            wheels=tuple(wheels),
            sources=tuple(sorted(locked_source(*one, folder) for one in sources)),
            suite=suite.name,
            python=suite.python,
            platform=platform,
            inputs=Digest.parse(str(table["inputs"])),
            base=base,
            source=source,
            layers=tuple(_load_made_layer(item) for item in table.get("layers", ())),
        )
    except (KeyError, TypeError, AttributeError, ValueError, ShipmlError) as error:
        raise PlanError(f"{source} is damaged: {error}", hint="write it again: shipml plan --lock") from error


def locked_image(text: str) -> ImageBasePin | None:
    """The image that a pylock.toml pins as base; None where it pins none, or is not ours, or is damaged."""
    with contextlib.suppress(ShipmlError, KeyError, TypeError, AttributeError, ValueError):
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


def _load_made_layer(table: Mapping[str, Any]) -> LockedLayer:
    return LockedLayer(
        str(table["key"]),
        str(table["kind"]),
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
        root=bool(table.get("root", True)),
    )
