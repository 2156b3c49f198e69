"""What a build needs of this machine to reach its network, and must not leave in the image.

Proxies are predefined build arguments, which engines keep out of the history. A private certificate authority and the
password of a package index would need a secret mount, hence a session, which the SDK cannot open: instead they become
a small image of their own, mounted while a RUN runs. It is mounted below /dev, which is not part of any layer, so not
even an empty mount point stays. What stays in the history are paths, as the values of the arguments that name them;
and a Dockerfile that is itself copied into the image (`COPY . .`) has the mounts in it.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from shipml.docker_engine import Engine
from shipml.docker_engine.loading import load_image
from shipml.dockerfile.text import Dockerfile, Instruction
from shipml.errors import ShipmlError
from shipml.events import ignore
from shipml.oci.image import ImageValue, LayerValue, assemble_image
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import Platform, canonical_json
from shipml.oci.reference import Reference

__all__ = ["MOUNT_FOLDER", "HostAccess", "host_access", "host_image", "proxy_arguments", "with_host_access"]

MOUNT_FOLDER = "/dev/shipml"

_CA_FILE, _APT_FILE, _PIP_FILE = "ca.pem", "apt.conf", "pip.conf"
_CA_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL, Python's ssl, uv, Go
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
)
_NAMED_BY = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_ADDED_CAS = Path("/usr/local/share/ca-certificates")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_INDEXES = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
}
"""Setting of pip → the variables that say it, uv's own first: the resolver lets those win."""

_URL_AFTER_NAME = re.compile(r"^[\w-]+=")
"""uv allows a name before an index's URL."""


@dataclass(frozen=True, slots=True)
class HostAccess:
    """Files to mount, by name; and the build arguments that name them."""

    files: Mapping[str, bytes] = field(repr=False)
    arguments: Mapping[str, str]


def host_access(environment: Mapping[str, str] = os.environ, added: Path = _ADDED_CAS) -> HostAccess | None:
    """What this machine has that others do not: authorities, indexes of packages. None where there is nothing."""
    files: dict[str, bytes] = {}
    arguments: dict[str, str] = {}
    if bundle := _private_bundle(environment, added):
        files[_CA_FILE] = bundle
        files[_APT_FILE] = f'Acquire::https::CaInfo "{MOUNT_FOLDER}/{_CA_FILE}";\n'.encode()
        arguments = dict.fromkeys(_CA_VARIABLES, f"{MOUNT_FOLDER}/{_CA_FILE}")
        arguments["APT_CONFIG"] = f"{MOUNT_FOLDER}/{_APT_FILE}"
    if settings := _pip_settings(environment):
        files[_PIP_FILE] = settings.encode()
        arguments["PIP_CONFIG_FILE"] = f"{MOUNT_FOLDER}/{_PIP_FILE}"
    return HostAccess(files, arguments) if files else None


def _private_bundle(environment: Mapping[str, str], added: Path) -> bytes:
    """The authorities of the system and those that variables name, as PEM; b"" where there are only the usual ones."""
    system = Path(ssl.get_default_verify_paths().openssl_cafile)
    usual = (system, Path("/etc/ssl/certs/ca-certificates.crt"))
    named = [Path(value) for name in _NAMED_BY if (value := environment.get(name))]
    named = [path for path in named if path.is_file() and path not in usual]
    if not named and not (added.is_dir() and any(added.glob("**/*.crt"))):
        return b""
    bundles = [path.read_bytes() for path in (*usual, *named) if path.is_file()]
    return b"\n".join(dict.fromkeys(bundles))


def _pip_settings(environment: Mapping[str, str]) -> str:
    lines = []
    for setting, variables in _INDEXES.items():
        said = next((environment[name] for name in variables if environment.get(name)), "")
        urls = [_URL_AFTER_NAME.sub("", word) for word in said.split()]
        urls = [url for url in urls if url.startswith(("http://", "https://"))]
        if urls:
            lines.append(f"{setting} = " + "\n    ".join(urls))
    return "[global]\n" + "\n".join(lines) + "\n" if lines else ""


def proxy_arguments(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Build arguments that every Dockerfile knows without ARG, and no history shows."""
    return {
        variable: value
        for name in _PROXIES
        for variable in (name, name.upper())
        if (value := environment.get(variable))
    }


def with_host_access(dockerfile: Dockerfile, image: str, access: HostAccess) -> tuple[str, str]:
    """The text with the image's files mounted in every RUN and named by arguments; and the flag that was put in."""
    flag = f"--mount=type=bind,from={image},target={MOUNT_FOLDER} "
    lines = dockerfile.text.removeprefix("\ufeff").splitlines()
    for instruction in reversed(dockerfile.instructions):
        if instruction.keyword == "RUN":
            _insert_flag(lines, instruction, flag)
        elif instruction.keyword == "FROM":
            lines.insert(instruction.last_line + 1, "ARG " + " ".join(access.arguments))
    return "\n".join(lines) + "\n", flag


def _insert_flag(lines: list[str], instruction: Instruction, flag: str) -> None:
    line = lines[instruction.first_line]
    at = len(line) - len(line.lstrip()) + len(instruction.keyword)
    lines[instruction.first_line] = f"{line[:at]} {flag}{line[at:].lstrip(' ')}"


@contextmanager
def host_image(engine: Engine, files: Mapping[str, bytes], locks: Path) -> Iterator[str]:
    """The name of an image with these files at its root, the same for the same files; it is removed afterwards.

    Builds at the same time share it, and the last one removes it: a lock below the folder `locks` counts them.
    """
    image = _image(files, engine.platform)
    reference = Reference.parse(f"shipml-build-host:{image.layers[0].diff_id.hex[:12]}")
    locks.mkdir(parents=True, exist_ok=True)
    lock = os.open(locks / f"build-host-{reference.tag}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            load_image(engine, image, [reference], ignore)
            yield str(reference)
        finally:
            with suppress(BlockingIOError, ShipmlError):  # another build uses it; or the engine has gone
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                engine.remove_image(str(reference))
    finally:
        os.close(lock)


def _image(files: Mapping[str, bytes], platform: Platform) -> ImageValue:
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        for name, data in sorted(files.items()):
            writer.file(name, data)
        written = writer.close()
    layer = LayerValue(written.digest, written.diff_id, written.size_bytes, lambda: io.BytesIO(out.getvalue()))
    config = {
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id)]},
    }
    return assemble_image(canonical_json(config), [layer])
