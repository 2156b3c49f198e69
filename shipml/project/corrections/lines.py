"""Lines that are not requirements as they stand: what they surely mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from shipml.dockerfile.pip_install import find_pip_installs
from shipml.project.corrections.conda_names import index_name, is_version
from shipml.project.data import module_names, normalised

__all__ = ["Repair", "has_odd_version", "is_requirement", "repair"]


@dataclass(frozen=True, slots=True)
class Repair:
    """What a line means."""

    texts: tuple[str, ...]
    """Requirements; () where it means none."""
    because: str
    """A clause without full stop."""


_NAME = r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(?P<extras>\s*\[[^\]]*\])?"
_VERSION = r"(?P<version>v?\d\w*(?:[.!-]\w+)*(?:\+[\w.]+)?(?:\.\*)?)"
_RULER = re.compile(r"[\W_]*")
_TABLE_HEAD = re.compile(r"package\s+version(?:\s+.*)?", re.IGNORECASE)
_CONDA = re.compile(rf"(?P<name>[\w.-]+)={_VERSION}=(?P<build>[\w.]+)")
_CONDA_URL = re.compile(
    r"https?://\S+/(?:noarch|(?:linux|win|osx)-\w+)/(?P<name>[\w.-]+)-(?P<version>[^-/]+)-(?P<build>[^-/]+?)"
    r"\.(?:conda|tar\.bz2)(?:#\w+)?"
)
_ONE_EQUALS = re.compile(rf"{_NAME}\s*(?:=|:=?|:=)\s*[\"']?{_VERSION}[\"']?")
_SPACED = re.compile(rf"{_NAME}(?:\s+|@|\s*-->?\s*){_VERSION}(?:\s+(?:pypi|pypi_0|defaults|conda-forge))?")
_BRACKETS = re.compile(rf"{_NAME}\s*\({_VERSION}\)")
_CARET = re.compile(rf"{_NAME}\s*\^\s*{_VERSION}")
_NO_VERSION = re.compile(rf"{_NAME}\s*(?:[=<>~!]=?=?|@)\s*[\"']?(?:latest|any|newest|\*|x)?[\"']?", re.IGNORECASE)
_SWAPPED = re.compile(r"=\s*([<>~!])(?!=)")
_SPACED_OPERATOR = re.compile(r"([<>=~!])\s+(=)")
_X = re.compile(r"((?:==|!=)\s*\d+(?:\.\d+)*)\.[xX]\b(?:\.[xX])*")
_STAR_RANGE = re.compile(r"([<>]=?\s*\d+(?:\.\d+)*)\.\*")
_LOCAL_RANGE = re.compile(r"((?:~=|[<>]=?)\s*[\w.]+)\+[\w.]+")
_SHORT_TILDE = re.compile(r"~=?\s*(\d+)(?=\s*(?:[,;]|$))")
_TILDE = re.compile(r"(?<![~=<>!])~\s*(?=\d)")
_NO_COMMA = re.compile(r"((?:[<>=!~]=|[<>])\s*[\w.*]+)\s*(?=[<>!~]=|[<>])")
_RUN = re.compile(r"[A-Za-z][\w.-]*(?:\[[^\]]*\])?\s*(?:(?:[=<>!~]=|[<>])\s*[\w.*+]+\s*,?\s*)+")
_EQUALS = re.compile(r"={3,}(?=\s*\d)")
_ODD_VERSION = re.compile(
    rf"{_NAME}\s*(?P<operator>={{2,3}}|[<>~]=)\s*(?P<release>v?\d+(?:\.\d+)*)(?P<rest>[\w.+*-]*)(?P<marker>\s*;.*)?"
)
_DECORATION = re.compile(r"^(?:[-*•+]\s+|\d+[.)]\s+|>\s+)|^[\"'`*(\[]+|[\"'`,;:.)\]*\\]+$")
_PROSE_WORDS = 3


def is_requirement(text: str) -> bool:
    """Whether `text` is a dependency specifier (PEP 508)."""
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def has_odd_version(requirement: Requirement) -> bool:
    """Whether a version is none (PEP 440): `===` takes any text, and uv does not."""
    for spec in requirement.specifier:
        try:
            if spec.operator == "===":
                Version(spec.version)
        except InvalidVersion:
            return True
    return False


def repair(text: str) -> Repair | None:
    """What `text`, which is not a requirement, means; None where that is not certain."""
    for attempt in _ATTEMPTS:
        found = attempt(text)
        if found is not None:
            return found
    return None


def _nothing(text: str) -> Repair | None:
    if _RULER.fullmatch(text):
        return Repair((), "it is a ruler, no requirement")
    if text == "@EXPLICIT":
        return Repair((), "it tells conda that addresses follow")
    if _TABLE_HEAD.fullmatch(text):
        return Repair((), "it is the head of a table")
    if text.endswith(":") and not re.search(r"[=<>]", text) and normalised(text[:-1]) not in module_names().known:
        return Repair((), "it is a heading, no requirement")
    return None


def _installation(text: str) -> Repair | None:
    """`pip install a b==1`."""
    found = find_pip_installs(text)
    words = [word for one in found for word in (*one.requirements, *one.editable, *one.places)]
    return _all(words, "it is a command, and this is what it installs") if found else None


def _all(words: list[str], because: str) -> Repair | None:
    """Requirements, each of which may need correction itself."""
    texts: list[str] = []
    for word in filter(None, words):
        if is_requirement(word):
            texts.append(word)
        elif (corrected := repair(word)) is not None:
            texts += corrected.texts
        else:
            return None
    return Repair(tuple(texts), because)


def _undecorated(text: str) -> Repair | None:
    """`- numpy,` and `"numpy"`."""
    bare, previous = text, ""
    while bare != previous:
        bare, previous = _DECORATION.sub("", bare).strip(), bare
        if is_requirement(bare):
            return Repair((bare,), "the other characters are not part of a requirement")
    if bare == text or not bare:
        return None
    corrected = repair(bare)
    return corrected if corrected is None or corrected.texts else None


def _conda(text: str) -> Repair | None:
    """`conda list --export`: `numpy=1.19.2=py38h54aff64_0`."""
    match = _CONDA.fullmatch(text) or _CONDA_URL.fullmatch(text)
    if match is None:
        return None
    pin = f"=={match['version']}"
    if match["build"].startswith("pypi"):
        return Repair((f"{match['name']}{pin}",), "that is how conda writes it")
    found = index_name(match["name"], match["build"])
    if not found.name:
        return Repair((), found.because)
    pin = f"{pin}.*" if found.name == "opencv-python-headless" else pin
    pin = pin if found.counts_alike and is_version(pin) else ""
    return Repair((f"{found.name}{pin}",), "that is how conda writes it")


def _operators(text: str) -> Repair | None:
    """Versions that are written in another way."""
    steps: tuple[tuple[Callable[[str], str], str], ...] = (
        (lambda line: _EQUALS.sub("==", line), "a version is pinned with =="),
        (lambda line: _SPACED_OPERATOR.sub(r"\1\2", line), "the operator is one word"),
        (lambda line: _SWAPPED.sub(r"\1=", line), "the operator is written the other way round"),
        (lambda line: _X.sub(r"\1.*", line), "any last number is written as *"),
        (lambda line: _STAR_RANGE.sub(r"\1", line), "* can only follow == and !="),
        (lambda line: _LOCAL_RANGE.sub(r"\1", line), "a range cannot name a local version"),
        (lambda line: _TILDE.sub("~=", line), "the operator is ~="),
        (lambda line: _SHORT_TILDE.sub(r"~=\1.0", line), "~= needs two numbers"),
        (lambda line: _NO_COMMA.sub(r"\1,", line), "a comma belongs between two conditions"),
    )
    corrected = text
    reasons = []
    for step, because in steps:
        changed = step(corrected)
        if changed != corrected:
            corrected = changed
            reasons.append(because)
        if reasons and is_requirement(corrected):
            return Repair((corrected,), "; ".join(reasons))
    return None


def _odd_version(text: str) -> Repair | None:
    """`pyodbc===4.0.0-unsupported`, `pytz==2004d`: no index has such versions today (PEP 440)."""
    match = _ODD_VERSION.fullmatch(text)
    if match is None or not match["rest"]:
        return None
    operator = "==" if match["operator"] == "===" else match["operator"]
    plain = f"{match['name']}{match['extras'] or ''}{operator}{match['release']}{match['marker'] or ''}"
    because = f"{match['release']}{match['rest']} is not a version (PEP 440)"
    return Repair((plain,), because) if is_requirement(plain) else None


def _pins(text: str) -> Repair | None:
    """A name and a version with something else than == between them."""
    for pattern, because in (
        (_ONE_EQUALS, "a version is pinned with =="),
        (_BRACKETS, "a version is pinned with =="),
        (_SPACED, "a version is pinned with =="),
    ):
        match = pattern.fullmatch(text)
        pinned = f"{match['name']}{match['extras'] or ''}=={match['version']}" if match else ""
        if pinned and is_requirement(pinned):
            return Repair((pinned,), because)
    if (match := _CARET.fullmatch(text)) is not None:
        from shipml.project.requirements.poetry import caret

        return Repair(
            (f"{match['name']}{match['extras'] or ''}{caret(match['version'])}",), "that is how poetry writes it"
        )
    if (match := _NO_VERSION.fullmatch(text)) is not None:
        return Repair((f"{match['name']}{match['extras'] or ''}",), "no version follows")
    return None


def _several(text: str) -> Repair | None:
    """`numpy, pandas` and `numpy pandas flask`: by spaces only what is known, as prose looks the same."""
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
        if all(part and (is_requirement(part) or _ONE_EQUALS.fullmatch(part)) for part in parts):
            return _all(parts, "each requirement needs a line of its own")
    runs = _RUN.findall(text)
    if len(runs) > 1 and "".join(runs) == text:
        return _all([run.strip(" ,") for run in runs], "each requirement needs a line of its own")
    words = text.split()
    if len(words) > 1 and all(is_requirement(word) for word in words):
        known = module_names().known
        if all(normalised(Requirement(word).name) in known for word in words):
            return _all(words, "each requirement needs a line of its own")
    return None


def _prose(text: str) -> Repair | None:
    words = re.findall(r"[A-Za-z']+", text)
    if len(words) >= _PROSE_WORDS and not re.search(r"[=<>~@\\/]", text):
        return Repair((), "it is prose, no requirement")
    return None


_ATTEMPTS: tuple[Callable[[str], Repair | None], ...] = (
    _nothing,
    _installation,
    _conda,
    _operators,
    _pins,
    _odd_version,
    _several,
    _undecorated,
    _prose,
)
