"""What a build needs of this machine to reach its network, and must not leave in the image: proxies and private CAs.

Proxies are predefined build arguments, which engines keep out of the history. A private CA would need a secret mount,
hence a session, which the SDK cannot open: instead the bundle becomes a small image of its own, mounted while a RUN
runs. It is mounted below /dev, which is no part of any layer, so not even an empty mount point stays. What stays in
the history is its path, as the value of the arguments that name it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shipml.builders.dockerfile_text import Dockerfile, Instruction

__all__ = ["CA_VARIABLES", "MOUNT_FOLDER", "PrivateCa", "private_ca", "proxy_arguments", "with_private_ca"]

MOUNT_FOLDER = "/dev/shipml"
CA_VARIABLES = {
    **dict.fromkeys(
        (
            "SSL_CERT_FILE",  # OpenSSL, Python's ssl, uv, Go
            "REQUESTS_CA_BUNDLE",
            "PIP_CERT",
            "CURL_CA_BUNDLE",
            "GIT_SSL_CAINFO",
            "NODE_EXTRA_CA_CERTS",
            "AWS_CA_BUNDLE",
        ),
        f"{MOUNT_FOLDER}/ca.pem",
    ),
    "APT_CONFIG": f"{MOUNT_FOLDER}/apt.conf",
}
"""Build argument → path in the build."""

_NAMED_BY = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_ADDED_CAS = Path("/usr/local/share/ca-certificates")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_APT = f'Acquire::https::CaInfo "{MOUNT_FOLDER}/ca.pem";\n'


@dataclass(frozen=True, slots=True)
class PrivateCa:
    """Certificate authorities that this machine trusts and others may not."""

    bundle: bytes
    """PEM: those of the system, and those that variables name."""
    because: str
    """What says that there are some."""

    @property
    def files(self) -> dict[str, bytes]:
        """What is mounted, by name."""
        return {"ca.pem": self.bundle, "apt.conf": _APT.encode()}


def private_ca(environment: Mapping[str, str] = os.environ, added: Path = _ADDED_CAS) -> PrivateCa | None:
    """The authorities of this machine, where it has some of its own: None otherwise."""
    named = {Path(value): name for name in reversed(_NAMED_BY) if (value := environment.get(name))}
    named = {path: name for path, name in named.items() if path.is_file()}
    extra = any(added.glob("**/*.crt")) if added.is_dir() else False
    if not named and not extra:
        return None
    defaults = ssl.get_default_verify_paths()
    system = Path(defaults.cafile or "/etc/ssl/certs/ca-certificates.crt")
    bundles = [path.read_bytes() for path in dict.fromkeys([system, *sorted(named)]) if path.is_file()]
    because = " and ".join(sorted(named.values())) if named else f"{added} has certificates"
    return PrivateCa(b"\n".join(dict.fromkeys(bundles)), because)


def proxy_arguments(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Build arguments that every Dockerfile knows without ARG, and no history shows."""
    return {
        variable: value
        for name in _PROXIES
        for variable in (name, name.upper())
        if (value := environment.get(variable))
    }


def with_private_ca(dockerfile: Dockerfile, image: str) -> tuple[str, str]:
    """The text with the image's files mounted in every RUN and named by arguments; and the flag that was put in."""
    flag = f"--mount=type=bind,from={image},target={MOUNT_FOLDER} "
    lines = dockerfile.text.removeprefix("\ufeff").splitlines()
    for instruction in reversed(dockerfile.instructions):
        if instruction.keyword == "RUN":
            _insert_flag(lines, instruction, flag)
        elif instruction.keyword == "FROM":
            lines.insert(instruction.last_line + 1, "ARG " + " ".join(CA_VARIABLES))
    return "\n".join(lines) + "\n", flag


def _insert_flag(lines: list[str], instruction: Instruction, flag: str) -> None:
    line = lines[instruction.first_line]
    at = len(line) - len(line.lstrip()) + len(instruction.keyword)
    lines[instruction.first_line] = f"{line[:at]} {flag}{line[at:].lstrip(' ')}"
