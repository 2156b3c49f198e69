"""Brings the images that a Dockerfile starts from into the engine: BuildKit without a session could not log in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shipml.docker_engine import Engine
from shipml.dockerfile.text import ImageUse
from shipml.errors import ConfigurationError, ShipmlError, UsageError
from shipml.events import Emit
from shipml.oci.manifest import Platform
from shipml.oci.reference import DOCKER_HUB, Reference

__all__ = ["Credentials", "bring", "credentials_of_docker"]

Credentials = Callable[[Reference], Mapping[str, str]]
"""What an engine needs to pull from a registry: username and password, or identitytoken; {} for none."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    reference: Reference
    platform: Platform | None


def bring(engine: Engine, uses: Sequence[ImageUse], *, pull: bool, credentials: Credentials, emit: Emit) -> None:
    """Pull what the engine lacks, or has for another platform; with `pull` everything.

    Raises:
        ShipmlError: an image is not available; it is named.
    """
    for use in uses:
        try:
            wanted = _Wanted(Reference.parse(use.name), Platform.parse(use.platform) if use.platform else None)
        except UsageError as error:
            raise ConfigurationError(
                f"the Dockerfile has an invalid image name: {error.message}", hint=error.hint
            ) from error
        if pull or not _is_there(engine, wanted):
            _pull(engine, wanted, credentials, emit)


def _is_there(engine: Engine, wanted: _Wanted) -> bool:
    found = engine.find_image(str(wanted.reference))
    return found is not None and wanted.platform in (None, found.platform)


def _pull(engine: Engine, wanted: _Wanted, credentials: Credentials, emit: Emit) -> None:
    try:
        engine.pull(wanted.reference, credentials(wanted.reference), wanted.platform, emit)
    except UsageError as error:
        raise ConfigurationError(
            f"the Dockerfile starts from {wanted.reference}, which is in no registry that the engine knows"
            f" ({error.message})",
            hint="correct its name and tag in the Dockerfile",
        ) from error


def credentials_of_docker(engine: Engine) -> Credentials:
    """Those of docker's own configuration: `docker login`, credential helpers."""

    def look_up(reference: Reference) -> Mapping[str, str]:
        registry = None if reference.registry == DOCKER_HUB else reference.registry
        try:
            with engine.sdk.doing("read docker's credentials"):
                found = engine.sdk.api._auth_configs.resolve_authconfig(registry)  # noqa: SLF001  (nothing public does)
        except ShipmlError:
            return {}  # a broken helper: public images need none
        known = {"Username": "username", "Password": "password", "IdentityToken": "identitytoken"}
        named = {known.get(key, key): str(value) for key, value in (found or {}).items() if value}
        return {key: value for key, value in named.items() if key in known.values()}

    return look_up
