"""What the environment says about downloads: trusted authorities and credentials; and URLs fit for messages."""

from __future__ import annotations

import base64
import contextlib
import netrc
import os
import ssl
import urllib.parse
from pathlib import Path

from shipml.errors import BuildError, ConfigurationError

__all__ = ["basic", "netrc_credentials", "redacted", "split_credentials", "trust"]


def redacted(url: str) -> str:
    """`url` without user, password, query and fragment: fit for messages."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return _unreadable(url)
    if "@" in parts.path:  # a password with a raw slash ends there
        return f"{parts.scheme}://{parts.path.rpartition('@')[2]}"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def trust() -> ssl.SSLContext:
    """A TLS context that trusts the system's authorities and those that the environment names.

    Raises:
        ConfigurationError: a variable names something else than certificates.
    """
    context = ssl.create_default_context()
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        bundle = os.environ.get(variable)
        if not bundle:
            continue
        try:
            if Path(bundle).is_dir():
                context.load_verify_locations(capath=bundle)
            else:
                context.load_verify_locations(bundle)
        except OSError as error:
            raise ConfigurationError(
                f"{variable} names {bundle}, which is not a bundle of certificates ({error.strerror or error})",
                hint=f"let it name a PEM file, or: unset {variable}",
            ) from error
    return context


def split_credentials(url: str) -> tuple[str, str]:
    """`url` without user and password, and these as the value of an Authorization header, or ""."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        bare = urllib.parse.urlunsplit(parts._replace(netloc=host))
        user, password = (urllib.parse.unquote(text or "") for text in (parts.username, parts.password))
    except ValueError as error:
        raise BuildError(f"{_unreadable(url)} is not a URL: {error}") from error
    return bare, basic(user, password) if user or password else ""


def netrc_credentials(url: str, *, with_default: bool = False) -> str:
    """Those of the URL's host in the file that NETRC names, else ~/.netrc; a broken file counts as none.

    Its `default` entry fits every host, also one that only a project names: it is for hosts that have asked (401).
    """
    with contextlib.suppress(OSError, netrc.NetrcParseError, ValueError, RuntimeError):
        path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
        hosts = netrc.netrc(str(path)).hosts
        found = hosts.get(urllib.parse.urlsplit(url).hostname or "")
        if found is None and with_default:
            found = hosts.get("default")
        if found is not None:
            return basic(found[0] or found[1], found[2] or "")
    return ""


def _unreadable(url: str) -> str:
    """Something that is not a URL, without what may be credentials."""
    return repr(url.rpartition("@")[2][:200])


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
