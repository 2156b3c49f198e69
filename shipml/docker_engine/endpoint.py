"""Where a Docker Engine may be: DOCKER_HOST, the current docker context, the usual sockets. Only reads files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shipml.errors import ConfigurationError

__all__ = ["Endpoint", "TlsFiles", "endpoints"]

_SCHEMES = ("unix://", "tcp://", "http://", "https://", "ssh://")
Kind = Literal["docker", "rootless", "desktop", "colima", "orbstack", "podman", "other"]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of a TLS connection, as `docker --tlsverify` takes them."""

    ca: Path | None
    certificate: Path | None
    key: Path | None
    verify: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address where an engine may answer."""

    url: str
    """`unix:///var/run/docker.sock`, `tcp://host:2376`, `ssh://user@host`."""
    source: str
    """What named it, for errors: "DOCKER_HOST", "the docker context 'colima'", ""."""
    kind: Kind = "other"
    tls: TlsFiles | None = None

    @property
    def socket(self) -> Path | None:
        """The socket's path, where it is one of this machine."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def is_local(self) -> bool:
        """Whether ports that it publishes on 127.0.0.1 are this machine's."""
        return self.socket is not None

    def __str__(self) -> str:
        return f"{self.url} (from {self.source})" if self.source else self.url


def endpoints(environment: Mapping[str, str] = os.environ, home: Path | None = None) -> list[Endpoint]:
    """The addresses to try: exactly one where the user chose (as docker does), else every usual socket that exists.

    Raises:
        ConfigurationError: DOCKER_HOST or the context cannot be meant.
    """
    home = home or Path.home()
    if host := environment.get("DOCKER_HOST", "").strip():
        return [_from_environment(host, environment, home)]
    config_folder = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    name = environment.get("DOCKER_CONTEXT") or str(_json(config_folder / "config.json").get("currentContext") or "")
    if name and name != "default":
        return [_from_context(name, config_folder)]
    return _usual_sockets(environment, home)


def _from_environment(host: str, environment: Mapping[str, str], home: Path) -> Endpoint:
    url = _checked(host, "DOCKER_HOST")
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    folder = environment.get("DOCKER_CERT_PATH")
    if not url.startswith("tcp://") or not (verify or folder):
        return Endpoint(url, "DOCKER_HOST", _kind(url))
    return Endpoint(url, "DOCKER_HOST", tls=_tls_files(Path(folder or home / ".docker"), verify=verify))


def _from_context(name: str, config_folder: Path) -> Endpoint:
    identifier = hashlib.sha256(name.encode()).hexdigest()
    meta = config_folder / "contexts" / "meta" / identifier / "meta.json"
    described: object = _json(meta)
    for key in ("Endpoints", "docker"):
        described = described.get(key) if isinstance(described, dict) else None
    if not isinstance(described, dict) or not described.get("Host"):
        raise ConfigurationError(
            f"the docker context {name!r} does not exist",
            hint="list the contexts with `docker context ls`, or go back: docker context use default",
        )
    source = f"the docker context {name!r}"
    url = _checked(str(described["Host"]), source)
    folder = config_folder / "contexts" / "tls" / identifier / "docker"
    tls = _tls_files(folder, verify=not described.get("SkipTLSVerify")) if folder.is_dir() else None
    return Endpoint(url, source, _kind(url), tls)


def _tls_files(folder: Path, *, verify: bool) -> TlsFiles:
    def existing(name: str) -> Path | None:
        return folder / name if (folder / name).is_file() else None

    files = TlsFiles(existing("ca.pem"), existing("cert.pem"), existing("key.pem"), verify)
    if (files.certificate is None) != (files.key is None):
        raise ConfigurationError(f"{folder} has only one of cert.pem and key.pem", hint="put both there, or neither")
    return files


def _usual_sockets(environment: Mapping[str, str], home: Path) -> list[Endpoint]:
    runtime_folder = environment.get("XDG_RUNTIME_DIR")
    candidates: list[tuple[Path, Kind]] = [(Path("/var/run/docker.sock"), "docker")]
    if runtime_folder:
        candidates.append((Path(runtime_folder) / "docker.sock", "rootless"))
    candidates += [
        (home / ".docker/run/docker.sock", "desktop"),
        (home / ".docker/desktop/docker.sock", "desktop"),
        (home / ".colima/default/docker.sock", "colima"),
        (home / ".orbstack/run/docker.sock", "orbstack"),
    ]
    if runtime_folder:
        candidates.append((Path(runtime_folder) / "podman/podman.sock", "podman"))
    candidates.append((Path("/run/podman/podman.sock"), "podman"))
    return [Endpoint(f"unix://{path}", "", kind) for path, kind in candidates if _exists(path)]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # a folder on the way is closed to us, as /run/podman is
        return False


def _kind(url: str) -> Kind:
    known: dict[str, Kind] = {"podman": "podman", "colima": "colima", "orbstack": "orbstack", "/.docker/": "desktop"}
    if url == "unix:///var/run/docker.sock":
        return "docker"
    return next((kind for part, kind in known.items() if part in url), "other")


def _checked(url: str, source: str) -> str:
    if "://" not in url and url.startswith("/"):
        return f"unix://{url}"
    if not url.startswith(_SCHEMES) or url in _SCHEMES:
        raise ConfigurationError(
            f"{url!r}, from {source}, is not an address of a Docker Engine",
            hint="use unix:///path/to/docker.sock, tcp://host:2376 or ssh://user@host",
        )
    return url


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not valid JSON: {error}", hint="correct or remove the file") from error
    return document if isinstance(document, dict) else {}
