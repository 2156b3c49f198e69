"""One quick question to a server: whether it is there, and what it says of a file without sending it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from shipml.errors import BuildError, ConfigurationError, UntrustedInputError
from shipml.http.logins import Logins
from shipml.http.pools import Pools
from shipml.http.settings import netrc_credentials, split_credentials

__all__ = ["Answer", "head"]

_LONGEST = 160
_LONGEST_NUMBER = 18
"""Digits of a size."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a HEAD request."""

    status: int
    """0 where the server cannot be reached."""
    because: str = ""
    """Why it cannot: a clause that names the host."""
    size_bytes: int | None = None
    """Of the body that a GET would bring."""


def head(pools: Pools, url: str, logins: Logins) -> Answer:
    """Ask once, without a second attempt. `url` may hold credentials; else `logins` and ~/.netrc are looked into."""
    import urllib3

    from shipml.http.redirects import OnlyRedirects

    try:
        bare, credentials = split_credentials(url)
        headers = {"User-Agent": "shipml", "Accept": "text/html, */*;q=0.5", "Accept-Encoding": "identity"}
        if credentials := credentials or logins.authorization(bare) or netrc_credentials(bare):
            headers["Authorization"] = credentials
        answer = pools.pool_for(bare).request("HEAD", bare, headers=headers, retries=OnlyRedirects.few())
    except urllib3.exceptions.HTTPError as error:
        return Answer(0, f"{urllib.parse.urlsplit(bare).hostname}: {_cause(error)}")
    except (BuildError, ConfigurationError, UntrustedInputError) as error:
        return Answer(0, error.message)
    return Answer(answer.status, size_bytes=_length(answer.headers))


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) <= _LONGEST_NUMBER else None


def _cause(error: BaseException) -> str:
    """The innermost words: "Name or service not known", "Connection refused"."""
    while isinstance(inner := getattr(error, "reason", None), BaseException):
        error = inner
    if isinstance(inner := error.__cause__, OSError) and inner.strerror:
        return inner.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.rpartition("] ")[2].rpartition(": ")[2].strip("()'\" ")[:_LONGEST]
