"""Requirements by URL that are not available: which line, whether network, rights or file failed, what fixes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from shipml.errors import (
    NotAllowedError,
    ResolutionError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
)
from shipml.facts.requirements import DeclaredRequirement, Requirements

__all__ = ["UnreachableAddressError", "explain_address"]

_ADDRESS = re.compile(r"(?:(?:git|hg|svn|bzr)\+)?(?:https?|ssh|git)://[^\s;#]+")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_REVISION = re.compile(r"(?<=[^/:])@[^/@]+$")
_NOT_THERE = re.compile(
    r"error:? \(?(?:404|410)\b|[Rr]epository (?:'[^']*' )?not found|remote ref|does not appear to be a git repository"
)
_NO_RIGHT = re.compile(
    r"\b(?:401 Unauth|403 Forb)|could not read Username|Permission denied|Authentication failed|returned error: 40[13]"
    r"|terminal prompts disabled",
    re.IGNORECASE,
)
_NO_GIT = re.compile(r"[Gg]it executable not found|[Gg]it is not installed")
_NETWORK = re.compile(
    r"error sending request|client error|dns error|Could not resolve host|Failed to connect|Connection refused"
    r"|Connection reset|timed out|status server error|429 Too Many|unable to access|error decoding response",
    re.IGNORECASE,
)
_STATUS = re.compile(r"HTTP status (?:client|server) error \((?P<status>[^)]*)\)")
_FATAL = re.compile(r"(?:fatal|ssh|ERROR|remote): (?P<words>.+)")
_LONGEST = 200


class UnreachableAddressError(TryAgainError):
    """The host of an address that a line asks for does not answer."""

    def __init__(self, message: str, *, hint: str, source: str) -> None:
        super().__init__(message, hint=hint)
        self.source = source
        """`FILE:LINE`."""


@dataclass(frozen=True, slots=True)
class _Address:
    """A URL that a line asks for."""

    source: str
    url: str
    """Without credentials, revision and fragment."""
    is_repository: bool

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url

    @property
    def filename(self) -> str:
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


def explain_address(text: str, declared: Requirements | None) -> ShipmlError | None:
    """The error for a URL that the project asks for and uv could not get; None where another thing failed.

    Args:
        text: uv's words, without credentials.
        declared: what the project asks for.
    """
    address = _failed(text, declared)
    if address is None:
        return None
    what = f"{address.source} asks for {address.url}"
    if _NO_GIT.search(text):
        return UnavailableError(
            f"{what}, which takes git, and git is not installed", hint="install git: apt install git"
        )
    if _NO_RIGHT.search(text):
        return NotAllowedError(f"{what}, and {address.host} wants credentials: {_cause(text)}", hint=_rights(address))
    if _NOT_THERE.search(text):
        return ResolutionError(f"{what}, which {address.host} does not have: {_cause(text)}", hint=_other(address))
    if _NETWORK.search(text):
        return UnreachableAddressError(
            f"{what}, and {address.host} cannot be reached from here: {_cause(text)}",
            hint=f"check the network and the proxy settings; or do without {address.host}: {_vendored(address)}",
            source=address.source,
        )
    return None


def _failed(text: str, declared: Requirements | None) -> _Address | None:
    """The line whose URL uv's words name."""
    for one in (*declared.requirements, *declared.constraints) if declared is not None else ():
        address = _address(one)
        if address is not None and address.url.removesuffix(".git") in text:
            return address
    return None


def _address(one: DeclaredRequirement) -> _Address | None:
    match = _ADDRESS.search(one.line.split(" --")[0])
    if match is None:
        return None
    is_repository = match[0].partition("://")[0].endswith(("+https", "+http", "+ssh", "+git", "ssh", "git"))
    url = _CREDENTIALS.sub("", re.sub(r"^\w+\+", "", match[0]))
    return _Address(one.source, _REVISION.sub("", url) if is_repository else url, is_repository)


def _vendored(address: _Address) -> str:
    if address.is_repository:
        return (
            f"where it can be reached, run pip wheel --no-deps with that address, put the wheel into the project, and"
            f" write ./NAME.whl in {address.source}"
        )
    return f"put {address.filename} into the project, and write ./{address.filename} in {address.source}"


def _other(address: _Address) -> str:
    kind = "repository or revision" if address.is_repository else "file"
    return (
        f"correct the address in {address.source}, or name a package of the index and its version instead of the {kind}"
    )


def _rights(address: _Address) -> str:
    if urlsplit(address.url).scheme == "ssh":
        return f"let an ssh key that may read it be known (ssh-add), or {_vendored(address)}"
    return f"put {address.host} with user and token into ~/.netrc, or {_vendored(address)}"


def _cause(text: str) -> str:
    """The innermost words: of git, of the server, else uv's last."""
    if found := _FATAL.findall(text):
        words = found[0]
    elif status := _STATUS.search(text):
        words = status["status"]
    else:
        words = (re.findall(r"cause: (.+)", text) or [text])[-1]
    words = re.sub(r"\s+", " ", words).strip()
    words = words.removeprefix("failed to lookup address information: ")
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
