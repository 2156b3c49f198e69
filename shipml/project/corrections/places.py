"""Requirements by URL and path: those of other machines, and those that only need another form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

from shipml.folders import is_there
from shipml.project.data import module_names, normalised

__all__ = ["Place", "is_place", "settle"]

_URL = re.compile(r"(?:[a-z][a-z0-9]*\+)?(?:https?|ssh|git|file|ftp)://\S+|file:\S+|git\+\S+", re.IGNORECASE)
_ARCHIVE = re.compile(r".+\.(?:whl|tar\.gz|tar\.bz2|zip|tgz)(?:\[[^\]]*\])?", re.IGNORECASE)
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(\[[^\]]*\])?(?=&|$|\s)")
_GITHUB = re.compile(
    r"(?:https?://)?(?:www\.)?github\.com/(?P<path>[\w.-]+/[\w.-]+?)(?:\.git)?/?(?:@(?P<revision>[\w./-]+))?"
)
_SPACY_MODEL = re.compile(
    r"(https://github\.com/explosion/spacy-models/releases/download/([\w.-]+-[3-9]\.\d+\.\d+)/\2)\.tar\.gz"
)
_CONDA_BUILD = re.compile(r"/work(?:/|$|#)|/croots?/|conda-bld|feedstock_root|/ci(?:_\d+)?/")
_CONDA_PACKAGE = re.compile(r"https?://\S+/(?:noarch|(?:linux|win|osx)-\w+)/[^/]+\.(?:conda|tar\.bz2)(?:#\w+)?")
_ELSEWHERE = re.compile(r"win32|win_amd64|win_arm64|macosx_")


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL or path comes to."""

    text: str
    """A requirement, URL or path."""
    because: str = ""
    """Why it is not as written; "" where it is, or where only its form differs."""
    missing: str = ""
    """The file or folder that is not there, and for which nothing can stand in."""


def is_place(text: str) -> bool:
    """Whether `text`, which is not a PEP 508 requirement, names a URL or path."""
    bare = _editable(text)
    if _CONDA_PACKAGE.fullmatch(bare) or (_EGG.search(bare) and re.search(r"\S\s", bare.partition(" ;")[0])):
        return False
    return bool(
        _URL.fullmatch(bare)
        or _GITHUB.fullmatch(bare)
        or _ARCHIVE.fullmatch(bare.partition(";")[0].strip())
        or bare.startswith((".", "/", "~"))
        or re.match(r"[A-Za-z]:\\", bare)
        or (bare != text and " @ " in bare)
    )


def _editable(text: str) -> str:
    match = re.fullmatch(r"(?:-e|--editable)[ \t=]*(\S.*)", text)
    return match[1].strip("\"'") if match else text


def settle(text: str, folder: Path) -> Place:
    """Where the requirement `text` (by URL or path, with or without a name) is found.

    Args:
        text: the requirement, without hashes.
        folder: the project.
    """
    name, url, marker = _parts(text)
    for attempt in (_on_another_machine, _model, _repository, _archive):
        place = attempt(name, url, folder)
        if place is not None:
            return Place(f"{place.text}{marker}", place.because, place.missing)
    return Place(f"{name} @ {url}{marker}" if name else f"{url}{marker}")


def _parts(text: str) -> tuple[str, str, str]:
    """(name with extras or "", URL or path, marker with its semicolon or "")."""
    bare = _editable(text)
    try:
        requirement = Requirement(bare)
    except InvalidRequirement:
        place, semicolon, marker = bare.partition(" ;")
        egg = _EGG.search(place)
        name = f"{egg[1]}{egg[2] or ''}" if egg else ""
        return name, _without_egg(place.strip()), f" ;{marker}" if semicolon else ""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}", _without_egg(requirement.url or ""), marker


def _without_egg(url: str) -> str:
    return re.sub(r"#&?$", "", _EGG.sub("#", url)).replace("#&", "#") if _EGG.search(url) else url


def _on_another_machine(name: str, url: str, folder: Path) -> Place | None:
    """Files of the machine on which `pip freeze` ran, and wheels for other systems."""
    file = url.rpartition("/")[2].rpartition("\\")[2]
    if url.lower().startswith("file:") or re.match(r"[A-Za-z]:\\|~|/", url):
        path = unquote(re.sub(r"^file:(?://)?", "", url, flags=re.IGNORECASE)).partition("#")[0]
        if is_there(folder / path):
            return None
        because = "the path is one of another machine"
    elif file.endswith(".whl") and _ELSEWHERE.search(file):
        because = f"the wheel is for {'macOS' if 'macosx' in file else 'Windows'}"
    else:
        return None
    found_name, version = _name_and_version(unquote(file.partition("#")[0]))
    wanted = name or found_name
    is_public = version or _CONDA_BUILD.search(url) or normalised(wanted) in module_names().known
    if not wanted or not is_public:
        return Place("", because, url)
    pin = f"=={version}" if version else ""
    return Place(f"{wanted}{pin}", because if version else f"{because}, and does not tell the version")


def _name_and_version(file: str) -> tuple[str, str]:
    try:
        if file.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(file)
            return name, version.public
        name, sdist_version = parse_sdist_filename(file)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return "", ""
    return name, sdist_version.public


def _archive(name: str, url: str, folder: Path) -> Place | None:
    """A wheel of the project that was not committed: a package of that name on the index may be somebody else's."""
    del name
    path = url.removeprefix("file:").partition("#")[0].partition("[")[0]
    if "://" in url or not _ARCHIVE.fullmatch(path) or is_there(folder / path):
        return None
    return Place("", "", path)


def _model(name: str, url: str, folder: Path) -> Place | None:
    """A model of spaCy: they are published as wheels, too."""
    del folder
    match = _SPACY_MODEL.fullmatch(url)
    if match is None:
        return None
    wheel = f"{match[1]}-py3-none-any.whl"
    return Place(f"{name} @ {wheel}" if name else wheel, "spaCy publishes the same model as a wheel: nothing to build")


def _repository(name: str, url: str, folder: Path) -> Place | None:
    del folder
    changed, because = url, ""
    if url.startswith(("git+git://", "git://")):
        changed = "git+https://" + url.partition("://")[2]
        because = "GitHub and others have turned off git://"
    elif match := _GITHUB.fullmatch(url):
        changed = f"git+https://github.com/{match['path']}.git" + (f"@{match['revision']}" if match["revision"] else "")
        because = "it is the page of a repository"
    if changed == url:
        return None
    return Place(f"{name} @ {changed}" if name else changed, because)
