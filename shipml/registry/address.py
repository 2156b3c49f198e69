"""Where a registry answers, and which other addresses may be asked on its word.

A registry names further addresses: the realm that mints tokens, the storage that has a blob, an upload's session. One
that is hostile or taken over could name any, so: plain HTTP is only for registries that are spoken to so, an address
inside a private network only for registries that are inside one, and credentials for the registry itself alone.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from shipml.errors import ConfigurationError, UntrustedInputError, UsageError
from shipml.http import redacted
from shipml.oci.reference import DOCKER_HUB, Reference

__all__ = ["HUB_MIRROR", "INSECURE_REGISTRIES", "Address", "hub_mirror", "is_loopback"]

HUB_MIRROR = "SHIPML_HUB_MIRROR"
"""The variable that names a registry to pull from in place of Docker Hub."""
INSECURE_REGISTRIES = "SHIPML_INSECURE_REGISTRIES"
"""The variable that lists, with commas, registries to which plain HTTP may be spoken: host with port if any."""

_HUB_HOST = "registry-1.docker.io"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Scheme and host of one registry."""

    registry: str
    """As references name it."""
    scheme: str
    host: str
    """With port if any."""
    insecure: frozenset[str]
    """Hosts that the user allows plain HTTP for, besides loopback."""

    @classmethod
    def of(cls, registry: str, environment: Mapping[str, str] = os.environ) -> Address:
        """Where `registry` answers: over https, but for loopback and what SHIPML_INSECURE_REGISTRIES lists."""
        insecure = frozenset(filter(None, map(str.strip, environment.get(INSECURE_REGISTRIES, "").split(","))))
        host = _HUB_HOST if registry == DOCKER_HUB else registry
        if environment.get(HUB_MIRROR, "").strip().rstrip("/") == f"http://{host}":
            insecure |= {host}
        plain = is_loopback(_hostname(host)) or host in insecure
        return cls(registry, "http" if plain else "https", host, insecure)

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"{self.scheme}://{self.host}"

    def is_own(self, url: str) -> bool:
        """Whether `url` is of this very registry, so that its credentials may go there."""
        try:
            return _origin(url) == _origin(self.url)
        except ValueError:
            return False

    def follow(self, location: str, base: str, what: str) -> str:
        """The URL that the answer of `base` points to with `location`, checked as in `check`."""
        try:
            url = urllib.parse.urljoin(base, location)
        except ValueError:
            url = location
        self.check(url, what)
        return url

    def check(self, url: str, what: str) -> None:
        """Make sure that `url`, which the registry named, may be asked; `what` names it in the error.

        Raises:
            UntrustedInputError: it may not.
        """
        if self.is_own(url):
            return
        try:
            scheme, hostname, _ = _origin(url)
        except ValueError as error:
            raise UntrustedInputError(f"{self.registry} names {redacted(url)} as {what}, which is no URL") from error
        host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
        if scheme == "http" and not (self.scheme == "http" and (is_loopback(hostname) or host in self.insecure)):
            raise UntrustedInputError(
                f"{self.registry} names {redacted(url)} as {what}, which is not encrypted",
                hint=f"if it is inside your own network: export {INSECURE_REGISTRIES}={self.registry},{host}",
            )
        if _is_private(hostname) and not _is_private(_hostname(self.host)):
            raise UntrustedInputError(
                f"{self.registry} names {redacted(url)} as {what}, an address inside a private network",
                hint="the registry is not inside one: it is set up wrongly, or hostile",
            )

    def check_peer(self, hostname: str, peer: str) -> None:
        """Make sure that a connection may be used; a name may mean another address than when it was checked.

        Args:
            hostname: that was connected to.
            peer: the address at its other end.

        Raises:
            UntrustedInputError: the registry named the host, and it is inside a private network.
        """
        own = _hostname(self.host)
        if hostname.strip("[]") == own or not _is_private(peer) or _is_private(own):
            return
        raise UntrustedInputError(
            f"{self.registry} names {hostname}, whose address {peer} is inside a private network",
            hint="the registry is not inside one: it is set up wrongly, or hostile",
        )

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, which no proxy reaches."""
        return is_loopback(_hostname(self.host))


def hub_mirror(environment: Mapping[str, str] = os.environ) -> str:
    """The registry that SHIPML_HUB_MIRROR names to pull from in place of Docker Hub; "" for none.

    Raises:
        ConfigurationError: it names none.
    """
    value = environment.get(HUB_MIRROR, "").strip()
    if not value:
        return ""
    host = value.partition("://")[2] if "://" in value else value
    host = host.rstrip("/")
    with contextlib.suppress(UsageError):
        if "@" not in host and Reference.parse(f"{host}/name") == Reference(host, "name", "latest"):
            return host
    raise ConfigurationError(
        f"{HUB_MIRROR} is {value.rpartition('@')[2]}, which is not a registry",
        hint="let it name a host alone, as mirror.example.org or localhost:5000",
    )


def _hostname(host: str) -> str:
    return urllib.parse.urlsplit(f"//{host}").hostname or ""


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host name and port.

    Raises:
        ValueError: it is no absolute http or https URL.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def is_loopback(hostname: str) -> bool:
    """Whether a host name or address is of this machine."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def _is_private(hostname: str) -> bool:
    """Whether a name is of an address that the Internet does not route; a name that is not known here is not."""
    if is_loopback(hostname):
        return True
    try:
        found = {hostname} if _is_ip(hostname) else {str(a[4][0]) for a in socket.getaddrinfo(hostname, None)}
    except (OSError, UnicodeError):  # UnicodeError: no host can be called so
        return False
    return any(not ipaddress.ip_address(address.partition("%")[0]).is_global for address in found)


def _is_ip(hostname: str) -> bool:
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True
