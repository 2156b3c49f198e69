"""What uv says when it fails, as errors of ours: pure text → error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shipml.errors import (
    ConfigurationError,
    NotAllowedError,
    ResolutionError,
    ShipmlError,
    TryAgainError,
)
from shipml.facts.project import RefusedPython
from shipml.facts.pythons import PythonBase
from shipml.facts.requirements import Requirements
from shipml.oci.manifest import Platform
from shipml.resolver.address_errors import explain_address
from shipml.resolver.index_logins import without_known_logins

__all__ = [
    "ObstacleError",
    "Refusal",
    "UnknownPackageError",
    "UnsolvableError",
    "explain",
    "is_about_packages",
    "no_python_fits",
]

_LONGEST = 900
_SHOWN = 4
"""Names shown of a longer list."""
_CREDENTIALS = re.compile(r"(?<=://)(?:[^/\s@]+|[^/\s@:]*:(?!\d+/)[^\s@]*)@")
"""A password may hold a raw slash."""
_AUTHENTICATION = re.compile(r"\b401 Unauthorized|\b403 Forbidden|valid authentication credentials", re.IGNORECASE)
_NETWORK = re.compile(
    r"error sending request|client error \(Connect\)|dns error|Request failed after|HTTP status server error"
    r"|429 Too Many|timed out|Connection re(?:fused|set)"
    r"|error decoding response|Could not resolve host",
    re.IGNORECASE,
)
_OFFLINE = re.compile(r"network (?:connectivity is|was) disabled|was not found in the cache")
_CERTIFICATE = re.compile(r"invalid peer certificate|UnknownIssuer|CaUsedAsEndEntity|certificate verify failed")
_NO_WHEEL = re.compile(
    r"(?P<name>[A-Za-z][\w.-]*?)(?:\[[^\]]*\])?(?P<pin>(?:[=<>!~]+[^\s,]+,?)+)? (?:has|have) no (?:usable )?wheels?\b"
)
_WORDS = re.compile(r"[A-Za-z0-9][\w.-]*")
_DEMAND = re.compile(r"(?P<by>\S+) depends on (?P<name>[A-Za-z0-9][\w.-]*?)(?P<range>[<>=!~]\S*?),? (?:and|we)\b")
_GONE = re.compile(
    r"there is no version of (?P<pin>[A-Za-z0-9][\w.-]*==[\w.!+-]*\w) and .+? depends? on (?P=pin)(?![\w.])"
)
_NO_SOLUTION = "No solution found"
_PYTORCH = "download.pytorch.org"
_WHEELS_HINT = "choose a version that has one, or another Python (--python), or let an engine build it from source"

_ANYWHERE_HINT = "choose a version that has one, or let an engine build it from source"
_NO_WHEEL_SHORT = " has no wheel"


class UnsolvableError(ResolutionError):
    """No set of packages fits this Python; another one may do."""

    def __init__(self, message: str, *, short: str, hint: str = "", lacking: Iterable[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.short = short
        """The reason in a clause, for lists."""
        self.lacking = tuple(lacking)
        """The requirements that have no wheel."""
        self.is_conflict = False
        """Whether two demands exclude each other."""
        self.missing = ""
        """The release that a package asks for and the index does not have: `opencv-python==4.2.0.32`."""

    @classmethod
    def no_wheel(cls, names: Iterable[str], base: PythonBase, platform: Platform) -> UnsolvableError:
        """For requirements that have no wheel that runs on `base`."""
        lacking = tuple(names)
        listed = _listed(lacking)
        message = f"{listed} has no wheel for Python {base.python} on {platform}"
        return cls(message, short=listed + _NO_WHEEL_SHORT, hint=_WHEELS_HINT, lacking=lacking)


class UnknownPackageError(UnsolvableError):
    """The index does not know a name, for whatever Python."""

    def __init__(self, message: str, *, name: str, hint: str) -> None:
        super().__init__(message, short=f"there is no {name}", hint=hint)
        self.name = name


class ObstacleError(UnsolvableError):
    """The base with this Python is not available here."""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Python for which nothing fits."""

    python: RefusedPython
    error: UnsolvableError


def is_about_packages(stderr: str) -> bool:
    """Whether uv had its answers and found no solution: no network, login, certificate or unreadable line failed."""
    return _NO_SOLUTION in stderr and not _AUTHENTICATION.search(stderr)


def explain(stderr: str, suite: PythonBase, platform: Platform, declared: Requirements | None = None) -> ShipmlError:
    """The error that a failed run of uv stands for; no credentials are repeated."""
    text = _CREDENTIALS.sub("", without_known_logins(_essence(stderr), declared))
    if _CERTIFICATE.search(text):
        return _untrusted(_first_url(text))
    if (by_address := explain_address(text, declared)) is not None:
        return by_address
    if _AUTHENTICATION.search(text):
        return _refused(_first_url(text))
    if _OFFLINE.search(text) or (_NETWORK.search(text) and _NO_SOLUTION not in text):
        return _unreachable(text)
    if _NO_SOLUTION in text:
        return _unsolvable(text, suite, platform, declared)
    return ResolutionError(f"uv cannot resolve the requirements: {_one_line(text)}", hint=_other_hint(text))


def _refused(url: str) -> NotAllowedError:
    return NotAllowedError(
        f"the package index {url} refused the credentials, or wants some",
        hint="put its host into ~/.netrc, or set UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD for its NAME",
    )


def _untrusted(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"the certificate of the package index {url} is signed by an authority that uv does not trust",
        hint="name your authority's file: export SSL_CERT_FILE=/path/ca.pem; "
        "or, where this machine trusts it already: export UV_SYSTEM_CERTS=1",
    )


def _unreachable(text: str) -> TryAgainError:
    if _OFFLINE.search(text):
        return TryAgainError("the package index may not be asked: uv is told to stay offline", hint="unset UV_OFFLINE")
    url, hint = _first_url(text), "check the network and the proxy settings, then run it again"
    if _PYTORCH in url:
        hint += (
            f"; or let the settings of uv not name {_PYTORCH}: shipml finds its builds itself, where they are available"
        )
    return TryAgainError(f"the package index {url} cannot be reached: {_last_cause(text)}", hint=hint)


def no_python_fits(refused: Sequence[Refusal]) -> ResolutionError:
    """The error for requirements that no candidate satisfies."""
    reasons = {one.python.because for one in refused}
    first = refused[0].error
    if len(refused) > 1 and first.lacking and all(one.error.lacking == first.lacking for one in refused):
        return ResolutionError(f"{first.short} for any available Python", hint=_ANYWHERE_HINT)
    if len(reasons) == 1:
        return ResolutionError(first.message, hint=first.hint)
    each = "; ".join(f"{one.python.python}: {one.python.because}" for one in refused)
    return ResolutionError(f"the requirements fit no available Python: {each}", hint=first.hint)


def _spelling(name: str) -> str:
    """What to do about a name that the index does not know: a resemblance is a suggestion, never more."""
    from shipml.project.corrections.names import nearest_name
    from shipml.project.data import normalised, requirement_names

    if place := requirement_names().elsewhere.get(normalised(name)):
        return f"its authors publish it elsewhere; write: {name} @ {place}"
    near = nearest_name(name)
    meant = f"did you mean {near}?" if near else f"check how {name} is spelled."
    return f"{meant} If it is in a private index: export UV_INDEX=https://…"


def _unsolvable(text: str, suite: PythonBase, platform: Platform, declared: Requirements | None) -> UnsolvableError:
    where = f"Python {suite.python} on {platform}"
    whole = re.sub(r"\s+", " ", text)
    names = sorted({match["name"] + (match["pin"] or "") for match in _NO_WHEEL.finditer(whole)})
    if names:
        return UnsolvableError.no_wheel(names, suite, platform)
    cause = _one_line(text.partition("cause:")[2].partition("\nhint:")[0]) or _one_line(text)
    missing = re.search(r"Because (?P<name>\S+) was not found in the package registry", cause)
    if missing:
        name = missing["name"]
        return UnknownPackageError(
            f"the package index has no {name}{_places(declared, [name])}", name=name, hint=_spelling(name)
        )
    cause = cause.removesuffix(".")
    places = _places(declared, _WORDS.findall(cause))
    clash = _clash(cause, declared)
    conflict = UnsolvableError(
        f"the requirements cannot be met together on {where}: {_shortened(cause)}{places}",
        short=clash[0] if clash else _shortened(cause, 200),
        hint=clash[1] if clash else "loosen one of the requirements that are named",
    )
    conflict.is_conflict = " depend" in cause
    gone = _GONE.search(cause)
    conflict.missing = gone["pin"] if gone else ""
    return conflict


def _clash(cause: str, declared: Requirements | None) -> tuple[str, str] | None:
    """Where one package's demand stands against one pin of the project: (both in a clause, the line to change)."""
    for demand in _DEMAND.finditer(cause):
        wanted = demand["name"] + demand["range"]
        pins = [one for one in declared.requirements if one.name == demand["name"]] if declared is not None else []
        if pins and pins[0].version:
            pin = f"{pins[0].name}=={pins[0].version}"
            hint = f"{pins[0].source}: write {wanted}, as {demand['by']} wants it"
            return f"{demand['by']} wants {wanted}, against {pin} ({pins[0].source})", hint
    return None


def _places(declared: Requirements | None, names: Iterable[str]) -> str:
    """` (numpy==1.19.5: requirements.txt:3; pandas: requirements.txt:4)` for those that are asked for."""
    if declared is None:
        return ""
    wanted = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    asked = [one for one in (*declared.requirements, *declared.constraints) if one.name in wanted]
    lines = [f"{_CREDENTIALS.sub('', one.line.split(' --')[0].strip())}: {one.source}" for one in asked]
    return f" ({'; '.join(lines)})" if lines else ""


def _essence(stderr: str) -> str:
    """From the line `error:` on: warnings and progress are left out."""
    _, found, rest = stderr.partition("error: ")
    return (rest if found else stderr).strip()


def _one_line(text: str) -> str:
    return _shortened(re.sub(r"\s+", " ", text).strip())


def _shortened(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _first_url(text: str) -> str:
    match = re.search(r"https?://[^\s`)'\"]+", text)
    return match[0] if match else ""


def _last_cause(text: str) -> str:
    causes = re.findall(r"cause: (.+)", text)
    return str(causes[-1]) if causes else _one_line(text)


def _other_hint(text: str) -> str:
    if "does not appear to be a Python project" in text:
        return "remove the line that names this folder (-e . or a path): only wheels can be installed"
    if "Git operation" in text:
        return "packages from git must be built: name a release that has wheels, or let an engine build"
    return "correct the line that is named"
