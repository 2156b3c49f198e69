"""What a program needs of this machine to reach its network: names, proxies, and certificates.

A private CA must work in the sandbox and must never end up in the image: it is written where only the run sees it.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["HOSTS", "NetworkAccess", "host_network"]

HOSTS = "127.0.0.1\tlocalhost shipml\n::1\tlocalhost\n"
_CA_FILE = "run/shipml/ca-certificates.crt"
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy")


@dataclass(frozen=True, slots=True)
class NetworkAccess:
    """Files and variables of a run that may use the network."""

    files: Mapping[str, str]
    """Path below the root → content."""
    environment: Mapping[str, str] = field(repr=False)
    """Proxy addresses may carry passwords."""


def host_network(host_environment: Mapping[str, str] = os.environ) -> NetworkAccess:
    """This machine's resolver, hosts, proxies and CA bundle."""
    files = {"etc/hosts": _text(Path("/etc/hosts")) or HOSTS, "etc/resolv.conf": _text(Path("/etc/resolv.conf"))}
    environment = {}
    for name in _PROXY_VARIABLES:
        for variable in (name, name.upper()):
            if value := host_environment.get(variable):
                environment[variable] = value
    if bundle := _ca_bundle(host_environment):
        files[_CA_FILE] = bundle
        environment.update(dict.fromkeys(_CA_VARIABLES, f"/{_CA_FILE}"))
    return NetworkAccess(files, environment)


def _ca_bundle(host_environment: Mapping[str, str]) -> str:
    defaults = ssl.get_default_verify_paths()
    named = [host_environment.get(variable) for variable in _CA_VARIABLES]
    for name in (*named, defaults.cafile, defaults.openssl_cafile):
        if name and (text := _text(Path(name))):
            return text
    return ""


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    return ""
