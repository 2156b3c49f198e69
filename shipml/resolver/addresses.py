"""Requirements by URL on hosts that do not answer: the same release of the index, where it surely is the same.

A package of that name on the index may be somebody else's. So the name must be one that everybody knows or the host one
that publishes for everybody; an address with credentials, or with a hash, is taken from nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from shipml.facts.requirements import Correction, DeclaredRequirement, Requirements
from shipml.project.data import module_names, normalised
from shipml.resolver.uv import Uv, UvError

__all__ = ["release_of_address", "without_address"]

_ADDRESS = re.compile(r"(?:(?:git)\+)?https?://[^\s;]+")
_PUBLIC_HOSTS = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org")
_VERSION = r"v?(?P<version>\d+(?:\.\d+)+(?:(?:a|b|rc|\.post|\.dev)\d+)?)"
_REPOSITORY = re.compile(rf"/[\w.-]+/(?P<name>[\w.-]+?)(?:\.git)?/?@{_VERSION}")
_ARCHIVE = re.compile(
    rf"/[\w.-]+/(?P<name>[\w.-]+?)/(?:-/)?(?:archive|tarball|zipball)/(?:refs/tags/)?(?:[\w-]+?-)?{_VERSION}"
    r"(?:/[\w.-]+)?(?:\.zip|\.tar\.gz)?"
)


def release_of_address(one: DeclaredRequirement) -> tuple[str, str] | None:
    """Name and version of what a line asks for by URL, where the URL tells both and the index may stand in."""
    match = _ADDRESS.search(one.line)
    if match is None or "--hash" in one.line:
        return None
    parts = urlsplit(match[0].removeprefix("git+"))
    if "@" in parts.netloc or re.search(r"sha\d+=", parts.fragment):
        return None
    path = unquote(parts.path)
    found = _of_file(path.rpartition("/")[2]) or _of_match(_REPOSITORY.fullmatch(path) or _ARCHIVE.fullmatch(path))
    if found is None:
        return None
    name, version = normalised(one.name or found[0]), found[1]
    is_public = (parts.hostname or "").removeprefix("www.") in _PUBLIC_HOSTS and normalised(found[0]) == name
    return (name, version) if is_public or name in module_names().known else None


def _of_file(name: str) -> tuple[str, str] | None:
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    try:
        if name.endswith(".whl"):
            wheel = parse_wheel_filename(name)
            return wheel[0], wheel[1].public
        sdist = parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return None if re.fullmatch(r"v?\d.*", sdist[0]) else (sdist[0], sdist[1].public)


def _of_match(match: re.Match[str] | None) -> tuple[str, str] | None:
    return None if match is None else (match["name"], match["version"])


def without_address(uv: Uv, declared: Requirements, source: str) -> tuple[Requirements, Correction] | None:
    """The requirements with the release of the index for the address in `source`; None where it has none."""
    for number, one in enumerate(declared.requirements):
        release = release_of_address(one) if one.source == source else None
        if release is None:
            continue
        name, version = release
        try:
            uv.files_of([f"{name}=={version}"], declared.options, "--universal", "--python-version", "3.8")
        except UvError:
            return None
        address = _ADDRESS.search(one.line)
        extras = re.match(r"[\w.-]+\s*(\[[^\]]*\])", one.line)
        marker = one.line.partition(" ;")[2]
        line = f"{name}{extras[1] if extras else ''}=={version}" + (f" ;{marker}" if marker else "")
        host = urlsplit((address[0] if address else "").removeprefix("git+")).hostname or ""
        because = f"{host} does not answer, and the index has that release"
        changed = DeclaredRequirement(line, source, name, version)
        lines = (*declared.requirements[:number], changed, *declared.requirements[number + 1 :])
        return replace(declared, requirements=lines), Correction("line", one.line, line, because, source)
    return None
