"""What the indexes have of the project's pins, before anything is resolved: one run of uv, without metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from shipml.plan.releases import MissingPin, Pin, Release, Survey
from shipml.plan.suites import PythonBase
from shipml.resolver.errors import is_about_packages
from shipml.resolver.uv import Uv, UvError

__all__ = ["nearest_versions", "survey_pins"]

_LEAST_PYTHON = "3.8"
_NO_VERSION = re.compile(r"there (?:is no version|are no versions) of (?P<name>[\w.-]+)(?:==(?P<version>[^\s,]+))?")
_NO_PACKAGE = re.compile(r"Because (?P<name>[\w.-]+) was not found in the package registry")
_NEEDS_PYTHON = re.compile(r"does not satisfy (?:(?:all|any) of: )?Python>=(?P<least>3\.\d+)")


def survey_pins(uv: Uv, pins: Iterable[Pin], options: Sequence[str]) -> Survey:
    """The releases of `pins`, and which of them do not exist.

    Args:
        uv: of the project.
        pins: each name once.
        options: the lines that name indexes.

    Raises:
        UvError: the index cannot be asked, or uv cannot make sense of the lines.
    """
    asked = {pin.name: pin for pin in pins}
    left, missing, least = dict(asked), [], _LEAST_PYTHON
    while left:
        try:
            document = uv.files_of(list(map(str, left.values())), options, "--universal", "--python-version", least)
        except UvError as error:
            if not is_about_packages(error.stderr):
                raise
            name = _missing_name(error.stderr)
            needs = _NEEDS_PYTHON.search(_flat(error.stderr))
            if name in left:
                missing.append(MissingPin(left.pop(name)))
            elif needs and _minor(needs["least"]) > _minor(least):
                least = needs["least"]  # all pins are for one Python: what runs on older ones is of no use
            else:
                raise
            continue
        return Survey(tuple(asked.values()), dict(_releases(document, left)), tuple(missing))
    return Survey(tuple(asked.values()), {}, tuple(missing))


def nearest_versions(uv: Uv, pin: Pin, options: Sequence[str], base: PythonBase) -> tuple[str, ...]:
    """The next version above and the next below that exist for `base`'s Python, those of the same series first."""
    python = ("--python-version", base.release)
    found = []
    for requirement, order in ((f"{pin.name}>{pin.version}", "lowest"), (f"{pin.name}<{pin.version}", "highest")):
        try:
            found.append(uv.version_of(requirement, options, "--resolution", order, *python))
        except UvError:
            continue
    return tuple(sorted(found, key=lambda version: series(version) != series(pin.version)))


def series(version: str) -> tuple[str, ...]:
    """The first two numbers of a version: releases of one series are meant to replace each other."""
    return tuple(version.split(".")[:2])


def _missing_name(stderr: str) -> str:
    text = _flat(stderr)
    match = _NO_PACKAGE.search(text) or _NO_VERSION.search(text)
    return _normalised(match["name"]) if match else ""


def _flat(stderr: str) -> str:
    return re.sub(r"\s+", " ", stderr)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _minor(python: str) -> int:
    return int(python.partition(".")[2])


def _releases(document: Mapping[str, Any], pins: Mapping[str, Pin]) -> Iterable[tuple[str, Release]]:
    for package in document.get("packages", ()):
        name = _normalised(str(package["name"]))
        wheels = package.get("wheels", ())
        source = package.get("sdist")
        files = [*wheels, *([source] if source else [])]
        release = Release.of_files(
            name,
            pins[name].version if name in pins else str(package.get("version", "")),
            (time for file in files if (time := uploaded_at(file)) is not None),
            (filename(file) for file in wheels),
            has_source=source is not None,
        )
        yield name, release


def uploaded_at(file: Mapping[str, Any]) -> datetime | None:
    """When a file of a pylock.toml was uploaded (PEP 751, `upload-time`)."""
    time = file.get("upload-time")
    if not isinstance(time, datetime):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def filename(file: Mapping[str, Any]) -> str:
    """The name of a file of a pylock.toml."""
    name = file.get("name") or file.get("url") or file.get("path") or ""
    return unquote(urlsplit(str(name)).path.rpartition("/")[2])
