"""The signed head of an archive: InRelease fetched, its signature and dates checked, and what it says of its indexes.

Debian Policy has no chapter on it; the format is that of the DebianRepository wiki page and of apt-secure(8).
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import os
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shipml.errors import (
    BuildError,
    ConfigurationError,
    TryAgainError,
    UntrustedInputError,
)
from shipml.http import redacted
from shipml.oci.digest import Digest
from shipml.session import Session

if TYPE_CHECKING:
    import pysequoia

__all__ = ["IndexFile", "Release", "fetch_release", "parse_release"]

_SEEN_FACT = "debian-release-seen-1"
_KEYS = Path(__file__).parent / "keys"
_LIMIT_BYTES = 4 << 20
_CLOCK_SKEW = dt.timedelta(hours=1)
_ENTRY = re.compile(r" ([0-9a-f]{64}) +(\d+) (\S+)")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """An index that the release vouches for."""

    path: str
    """Below `dists/<suite>/`, as "main/binary-amd64/Packages.gz"."""
    size_bytes: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Release:
    """What a verified InRelease says."""

    url: str
    """Of the folder it lies in: `…/dists/<suite>`."""
    files: dict[str, IndexFile]
    """By path."""
    by_hash: bool
    """Whether indexes can be fetched by their digest, which is safe while the mirror is being updated."""
    expired: bool
    """Past its Valid-Until; only with `allow_expired`."""
    made_at: dt.datetime
    """When it was signed: its Date."""
    archive: str
    """Whose it is, by its Origin and Label: "Debian/Debian-Security"."""

    def index_url(self, file: IndexFile) -> str:
        """Where that index is."""
        if self.by_hash:
            return f"{self.url}/{file.path.rpartition('/')[0]}/by-hash/SHA256/{file.digest.hex}"
        return f"{self.url}/{file.path}"


def fetch_release(mirror: str, codename: str, *, session: Session) -> Release:
    """Fetch and check `dists/<codename>/InRelease` of the archive at `mirror`.

    Raises:
        TryAgainError: it is past its Valid-Until or from the future, and `allow_expired` is not given; or it is older
            than one that was seen before, and `allow_older` is not given.
        UntrustedInputError: no good signature by a trusted key, another suite than asked for, or no release file.
        BuildError: the mirror does not have the suite.
    """
    url = f"{mirror}/dists/{codename}"
    try:
        signed = session.http.read(f"{url}/InRelease", limit_bytes=_LIMIT_BYTES)
    except (UntrustedInputError, TryAgainError):
        raise
    except BuildError as error:
        raise BuildError(
            f"the mirror has no {codename}: {error.message}",
            hint="set SHIPML_DEBIAN_MIRROR (and SHIPML_DEBIAN_SECURITY_MIRROR) to a mirror that carries this suite",
        ) from error
    text = _verified(signed, url).decode("utf-8", "replace")
    now = dt.datetime.now(dt.UTC)
    release = parse_release(text, url=url, codename=codename, now=now, allow_expired=session.allow_expired)
    _check_not_older(release, codename, now, session)
    return release


def parse_release(text: str, *, url: str, codename: str, now: dt.datetime, allow_expired: bool) -> Release:
    """Read the (already verified) text of a release file. Errors as in `fetch_release`."""
    fields = dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", text, re.MULTILINE))
    if codename not in (fields.get("Codename"), fields.get("Suite")):
        raise UntrustedInputError(
            f"{redacted(url)} is signed for the suite {fields.get('Codename', '')!r}, not {codename!r}",
            hint="the mirror serves one suite under another's name; set SHIPML_DEBIAN_MIRROR to another mirror",
        )
    made_at = _date(fields, "Date", url)
    if made_at is None:
        raise UntrustedInputError(f"{redacted(url)}/InRelease has no date")
    expired = _is_expired(fields, made_at, url, now, allow_expired=allow_expired)
    archive = f"{fields.get('Origin', '')}/{fields.get('Label', '')}"
    _, _, checksums = text.partition("\nSHA256:")
    files = {
        path: IndexFile(path, int(size), Digest(hex_digest))
        for hex_digest, size, path in _ENTRY.findall(re.split(r"\n(?! )", checksums, maxsplit=1)[0])
    }
    if not files:
        raise UntrustedInputError(f"{redacted(url)}/InRelease names no index by SHA-256")
    return Release(url, files, fields.get("Acquire-By-Hash") == "yes", expired, made_at, archive)


def _check_not_older(release: Release, codename: str, now: dt.datetime, session: Session) -> None:
    """Refuse a release that is older than one of the same suite seen before, as apt does; remember the newest."""
    key = json.dumps([release.archive, codename])
    seen_seconds: float = session.store.fact(_SEEN_FACT, key) or 0.0
    made_seconds = release.made_at.timestamp()
    if made_seconds < seen_seconds and not session.allow_older:
        seen_at = dt.datetime.fromtimestamp(seen_seconds, dt.UTC)
        raise TryAgainError(
            f"{redacted(release.url)} was signed on {release.made_at:%d %b %Y %H:%M}, before the list of "
            f"{seen_at:%d %b %Y %H:%M} that was used here: the mirror lags behind, or hides updates",
            hint="set SHIPML_DEBIAN_MIRROR to another mirror; or accept the older list: --allow-older",
        )
    if seen_seconds < made_seconds <= now.timestamp() + _CLOCK_SKEW.total_seconds():
        session.store.keep_fact(_SEEN_FACT, key, made_seconds)


def _is_expired(
    fields: dict[str, str], made_at: dt.datetime, url: str, now: dt.datetime, *, allow_expired: bool
) -> bool:
    valid_until = _date(fields, "Valid-Until", url)
    if made_at > now + _CLOCK_SKEW and not allow_expired:
        raise TryAgainError(
            f"{redacted(url)} was signed on {made_at:%d %b %Y}, which is in the future",
            hint="set this machine's clock; or build with --allow-expired",
        )
    if valid_until is None or valid_until >= now:
        return False
    if not allow_expired:
        raise TryAgainError(
            f"{redacted(url)} was only valid until {valid_until:%d %b %Y}: the mirror lags behind, or hides updates",
            hint="set SHIPML_DEBIAN_MIRROR to another mirror; or accept the old list: --allow-expired",
        )
    return True


def _date(fields: dict[str, str], name: str, url: str) -> dt.datetime | None:
    if name not in fields:
        return None
    try:
        date = parsedate_to_datetime(fields[name])
    except ValueError as error:
        raise UntrustedInputError(f"{redacted(url)}/InRelease has a {name} that is not a date") from error
    return date if date.tzinfo else date.replace(tzinfo=dt.UTC)


def _verified(signed: bytes, url: str) -> bytes:
    """The part of a clear-signed text that a trusted key has signed; what stands around it is dropped."""
    import pysequoia

    certificates = list(_certificates(os.environ.get("SHIPML_DEBIAN_KEYRING", "")))
    try:
        result = pysequoia.verify(signed, store=lambda _: certificates)
    except RuntimeError as error:
        raise UntrustedInputError(
            f"{redacted(url)}/InRelease has no good signature by a key of Debian's archive",
            hint="a proxy may have changed it: set SHIPML_DEBIAN_MIRROR to another mirror; if the archive is your own, "
            "name its public keys in SHIPML_DEBIAN_KEYRING",
        ) from error
    if not result.valid_sigs or result.bytes is None:
        raise UntrustedInputError(f"{redacted(url)}/InRelease is not signed")
    return bytes(result.bytes)


@functools.cache
def _certificates(extra: str) -> tuple[pysequoia.Cert, ...]:
    """Debian's archive keys, as they ship with shipml, and those in the file `extra`."""
    import pysequoia

    paths = sorted(_KEYS.glob("*.gpg"))
    found = [certificate for path in paths for certificate in pysequoia.Cert.split_file(str(path))]
    if extra:
        try:
            found += pysequoia.Cert.split_file(extra)
        except (RuntimeError, OSError) as error:
            raise ConfigurationError(
                f"SHIPML_DEBIAN_KEYRING names {extra}, which holds no OpenPGP keys", hint="export them: gpg --export"
            ) from error
    return tuple(found)
