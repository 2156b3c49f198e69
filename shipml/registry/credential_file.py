"""The file in which docker keeps credentials: where it lies, what is in it, and how it is changed.

Format: docker's config.json (docker/cli, cli/config/configfile); podman's auth.json has the same `auths`. Whoever
changes it keeps all the rest of it: proxies, contexts and plugins stand in the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.oci.reference import DOCKER_HUB

__all__ = ["broken_file", "change_file", "docker_file", "read_file", "server_keys", "server_name", "table_of"]

_FILE_LIMIT_BYTES = 4 << 20
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


def docker_file(environment: Mapping[str, str], home: Path) -> Path:
    """Where docker's config.json lies, or would lie."""
    folder = environment.get("DOCKER_CONFIG")
    return (Path(folder) if folder else home / ".docker") / "config.json"


def server_name(registry: str) -> str:
    """What docker calls a registry in its file and before its helpers."""
    return _HUB_KEYS[0] if registry == DOCKER_HUB else registry


def server_keys(registry: str) -> tuple[str, ...]:
    """All keys under which tools keep the credentials of a registry, docker's own first."""
    if registry == DOCKER_HUB:
        return _HUB_KEYS
    schemes = [f"https://{registry}{path}" for path in ("", "/", "/v1/", "/v2/")]
    return (registry, *schemes, f"http://{registry}", f"http://{registry}/")


def read_file(path: Path, tool: str) -> dict[str, Any]:
    """The document in `path`; an empty one where there is no file.

    Raises:
        ConfigurationError: it cannot be read, or is not a JSON object. Nothing of it is quoted.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_FILE_LIMIT_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError(
            f"{tool}'s credentials in {path} cannot be read: {error.strerror}", hint=f"look at it: ls -l {path}"
        ) from error
    try:
        document = json.loads(data or b"{}")
    except (ValueError, RecursionError):  # its text may quote a secret
        raise broken_file(path, "it is not valid JSON") from None
    if not isinstance(document, dict):
        raise broken_file(path, "it is not a JSON object")
    return document


def table_of(document: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    """One of the tables of a document that was read from `path`.

    Raises:
        ConfigurationError: it is something else.
    """
    table = document.get(name) or {}
    if not isinstance(table, dict):
        raise broken_file(path, f"`{name}` is not an object")
    return table


def broken_file(path: Path, why: str) -> ConfigurationError:
    """The error for a file that a person has to repair."""
    return ConfigurationError(
        f"the credentials in {path} cannot be read: {why}", hint="repair or delete the file, then log in"
    )


def change_file(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Let `change` change docker's document, and put it in place in one step, readable by its owner alone.

    A link is followed, so that a file that is kept elsewhere stays there; the owner of the file stays its owner.

    Raises:
        ConfigurationError: the file cannot be read or written.
    """
    document = read_file(path, "docker")
    change(document)
    text = json.dumps(document, indent="\t")  # as docker writes it
    try:
        target = path.resolve()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(target, text.encode())
    except OSError as error:
        raise ConfigurationError(
            f"docker's credentials in {path} cannot be written: {error.strerror}",
            hint="let DOCKER_CONFIG name a folder that you may write to",
        ) from error


def _replace(target: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(OSError):  # `sudo shipml login` must not take the file from its owner
            before = target.stat()
            os.chown(draft, before.st_uid, before.st_gid)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
