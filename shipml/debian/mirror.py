"""Which Debian mirror to fetch from: the environment, else what apt on this machine uses, else Debian's own alias."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shipml.errors import ConfigurationError

__all__ = ["Mirror", "find_mirror"]

_DEFAULT = "http://ftp.debian.org/debian"
_SCHEMES = ("http://", "https://", "file:/")
_ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+")


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where the two archives of Debian are, without final slash."""

    debian: str
    security: str

    def archive(self, name: str) -> str:
        """The URL of the archive `debian` or `debian-security`."""
        return self.security if name == "debian-security" else self.debian


def find_mirror(apt: Path = Path("/etc/apt")) -> Mirror:
    """The mirror to use.

    `SHIPML_DEBIAN_MIRROR` and `SHIPML_DEBIAN_SECURITY_MIRROR` win. Of apt's sources those count whose path ends in
    `/debian` or `/debian-security`: mirrors of Debian are laid out so, and those of Ubuntu or of a vendor are not.

    Raises:
        ConfigurationError: a variable does not hold an http, https or file URL.
    """
    debian = _from_environment("SHIPML_DEBIAN_MIRROR")
    security = _from_environment("SHIPML_DEBIAN_SECURITY_MIRROR")
    if debian is None:
        configured = [uri.rstrip("/") for uri in _apt_uris(apt) if uri.startswith(_SCHEMES)]
        debian = next((uri for uri in configured if uri.endswith("/debian")), _DEFAULT)
        security = security or next((uri for uri in configured if uri.endswith("/debian-security")), None)
    return Mirror(debian, security or f"{debian}-security")


def _from_environment(variable: str) -> str | None:
    value = os.environ.get(variable)
    if not value:
        return None
    if not value.startswith(_SCHEMES):
        raise ConfigurationError(
            f"{variable} is {value!r}, which is not an http, https or file URL",
            hint=f"set it to the folder that holds dists/ and pool/, as in {_DEFAULT}",
        )
    return value.rstrip("/")


def _apt_uris(apt: Path) -> Iterator[str]:
    """All URIs of apt's `deb` sources, in the order in which apt reads its files (sources.list(5))."""
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        uris = _deb822_uris(text) if path.suffix == ".sources" else _one_line_uris(text)
        for uri in uris:
            yield from _expanded(uri)


def _one_line_uris(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if entry := _ONE_LINE.match(line.strip()):
            yield entry[1]


def _deb822_uris(text: str) -> Iterator[str]:
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", re.sub(r"\n[ \t]+", " ", without_comments)):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
        values = {name.lower(): value.split() for name, value in fields.items()}
        if "deb" in values.get("types", ()) and values.get("enabled", ["yes"]) != ["no"]:
            yield from values.get("uris", ())


def _expanded(uri: str) -> Iterator[str]:
    """`uri`, or what the list of mirrors holds that `mirror+file:` names (apt-transport-mirror(1))."""
    if not uri.startswith("mirror+file:"):
        yield uri
        return
    try:
        lines = Path("/" + uri.removeprefix("mirror+file:").lstrip("/")).read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if line.strip() and not line.startswith("#"):
            yield line.split()[0]
