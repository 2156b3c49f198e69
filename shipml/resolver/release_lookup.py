"""What the indexes have of the project's pins, before anything is resolved: one run of uv, without metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from shipml.facts.releases import (
    MissingPin,
    Pin,
    Release,
    Survey,
)
from shipml.resolver.errors import is_about_packages
from shipml.resolver.uv import Uv, UvError

__all__ = [
    "is_released",
    "nearest_versions",
    "newest_releases",
    "newest_source",
    "releases_of",
    "series",
    "survey_ceilings",
    "survey_floors",
    "survey_pins",
]

NO_PINS: Mapping[str, Pin] = MappingProxyType({})
_LEAST_PYTHON = "3.8"
_NO_VERSION = re.compile(r"there (?:is no version|are no versions) of (?P<name>[\w.-]+)(?:==(?P<version>[^\s,]+))?")
_NO_PACKAGE = re.compile(r"Because (?P<name>[\w.-]+) was not found in the package registry")
_NO_TAG = re.compile(r"(?<!\S)(?P<name>[A-Za-z0-9][\w.-]*?)==\S+ has no wheels with a matching")
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
    bare: dict[str, Release] = {}
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
            elif (useless := _useless_name(error.stderr)) in left:
                bare[useless] = Release(useless, left.pop(useless).version, None, ())
            elif needs and _minor(needs["least"]) > _minor(least):
                least = needs["least"]  # all pins are for one Python: what runs on older ones is of no use
            else:
                raise
            continue
        return Survey(tuple(asked.values()), {**bare, **dict(releases_of(document, left))}, tuple(missing))
    return Survey(tuple(asked.values()), bare, tuple(missing))


def survey_floors(uv: Uv, floors: Mapping[str, Pin], options: Sequence[str]) -> dict[str, Release]:
    """The oldest releases that requirements without a fixed version allow; those that the index lacks are left out.

    Args:
        uv: of the project.
        floors: by the requirement as it is written, what stands for it; its version is replaced by the one found.
        options: the lines that name indexes.
    """
    pins = {pin.name: pin for pin in floors.values()}
    order = ("--resolution", "lowest", "--universal", "--python-version", _LEAST_PYTHON)
    try:
        document = uv.files_of(list(floors), options, *order)
    except UvError:
        return {}
    return {name: release for name, release in releases_of(document) if name in pins}


def survey_ceilings(uv: Uv, ceilings: Mapping[str, Pin], options: Sequence[str]) -> dict[str, Release]:
    """The newest releases that ranges allow, where newer ones exist; what the index lacks is left out.

    Args:
        uv: of the project.
        ceilings: by the requirement as it is written, what stands for it.
        options: the lines that name indexes.
    """
    allowed = newest_releases(uv, list(ceilings), options)
    newest = newest_releases(uv, [pin.name for pin in ceilings.values() if pin.name in allowed], options)
    return {name: one for name, one in allowed.items() if name in newest and newest[name].version != one.version}


def newest_releases(
    uv: Uv, lines: Sequence[str], options: Sequence[str], *arguments: str, python: str = _LEAST_PYTHON
) -> dict[str, Release]:
    """The newest stable releases that fit some Python, by name; what the index lacks, or does not date, is left out."""
    if not lines:
        return {}
    try:
        document = uv.files_of(
            lines, options, "--universal", "--python-version", python, "--prerelease", "disallow", *arguments
        )
    except UvError:
        if len(lines) == 1:
            return {}
        return {
            name: one
            for line in lines
            for name, one in newest_releases(uv, [line], options, *arguments, python=python).items()
        }
    dated = [one for one in releases_of(document) if one[1].uploaded_at is not None]  # one for each group of Pythons
    return dict(sorted(dated, key=lambda one: str(one[1].uploaded_at)))


def nearest_versions(uv: Uv, pin: Pin, options: Sequence[str]) -> tuple[str, ...]:
    """The next release above and the next below that some Python of today can have, those of the same series first."""
    above = _versions(uv, f"{pin.name}>{pin.version}", options, "lowest")
    below = _versions(uv, f"{pin.name}<{pin.version}", options, "highest")
    found = (*above[:1], *below[-1:])
    return tuple(sorted(found, key=lambda version: series(version) != series(pin.version)))


def is_released(uv: Uv, pin: Pin, options: Sequence[str]) -> bool:
    """Whether today's index has that release, whatever day a question is asked as of."""
    return bool(_versions(uv, f"{pin.name}=={pin.version}", options, "highest"))


def _versions(uv: Uv, requirement: str, options: Sequence[str], order: str) -> list[str]:
    """The versions that uv takes for the Pythons that it tells apart, in their order; no pre-releases."""
    target = ("--universal", "--python-version", _LEAST_PYTHON, "--resolution", order, "--prerelease", "disallow")
    try:
        document = uv.files_of([requirement], options, *target)
    except UvError as error:
        if not is_about_packages(error.stderr):
            raise
        return []
    from packaging.version import Version

    return sorted((release.version for _, release in releases_of(document)), key=Version)


def series(version: str) -> tuple[str, ...]:
    """The first two numbers of a version: releases of one series are meant to replace each other."""
    return tuple(version.split(".")[:2])


def _missing_name(stderr: str) -> str:
    text = _flat(stderr)
    match = _NO_PACKAGE.search(text) or _NO_VERSION.search(text)
    return _normalised(match["name"]) if match else ""


def newest_source(uv: Uv, requirement: str, options: Sequence[str]) -> Release | None:
    """The newest release that fits a requirement, whether it has wheels or not."""
    try:
        document = uv.files_of([requirement], options)
    except UvError:
        return None
    return next((release for _, release in releases_of(document)), None)


def _useless_name(stderr: str) -> str:
    """The pin that has wheels, and no source, for Pythons of the past alone."""
    match = _NO_TAG.search(_flat(stderr))
    return _normalised(match["name"]) if match else ""


def _flat(stderr: str) -> str:
    return re.sub(r"\s+", " ", stderr)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _minor(python: str) -> int:
    return int(python.partition(".")[2])


def releases_of(document: Mapping[str, Any], pins: Mapping[str, Pin] = NO_PINS) -> Iterable[tuple[str, Release]]:
    """The packages of a pylock.toml document, by name; of pins, with the version as it is written."""
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
