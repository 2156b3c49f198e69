"""Images in registries: found by name, opened lazily; one client for each registry of a session."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from shipml.errors import UntrustedInputError
from shipml.events import Emit, ignore
from shipml.oci.documents import (
    choose_manifest,
    is_index,
    open_image,
    parse_document,
    parse_index,
)
from shipml.oci.image import Image
from shipml.oci.manifest import MANIFEST_MEDIA_TYPE, Descriptor, Platform
from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.registry.address import hub_mirror
from shipml.registry.client import RegistryClient, RemoteManifest
from shipml.registry.keychain import Keychain
from shipml.registry.transport import RetryPolicy

__all__ = ["Registries"]

_NESTED_INDEXES = 3


class Registries:
    """The registries of one session, each with one client, so that tokens and connections serve again."""

    def __init__(
        self,
        keychain: Keychain,
        emit: Emit = ignore,
        *,
        retry: RetryPolicy | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._keychain = keychain
        self._emit = emit
        self._retry = retry or RetryPolicy()
        self._environment = environment
        self._clients: dict[str, RegistryClient] = {}
        self._lock = threading.Lock()

    def client(self, reference: Reference) -> RegistryClient:
        """For the registry of `reference` itself: for Docker Hub, that is never a mirror."""
        return self._client(reference.registry)

    def client_to_pull(self, reference: Reference) -> RegistryClient:
        """As `client`, but for Docker Hub the mirror that SHIPML_HUB_MIRROR names. The Hub's credentials stay away."""
        mirror = hub_mirror(self._environment) if reference.registry == DOCKER_HUB else ""
        return self._client(mirror or reference.registry)

    def resolve(self, reference: Reference, platform: Platform | None = None) -> Descriptor:
        """The manifest that `reference` names now; of an index, that for `platform`, or the index itself for None.

        Raises:
            NotFoundError: there is none.
            UsageError: none for the platform.
            ShipmlError: as `RegistryClient.manifest`.
        """
        found = self._manifest(reference, platform)
        return Descriptor(found.media_type or MANIFEST_MEDIA_TYPE, found.digest, len(found.data))

    def open_image(self, reference: Reference, platform: Platform | None = None) -> Image:
        """The image that `reference` names, for `platform` (default: this machine's); layers are fetched when read.

        Raises:
            NotFoundError: there is none.
            UsageError: none for the platform.
            UntrustedInputError: manifest or config are broken.
            ShipmlError: as `RegistryClient.manifest`.
        """
        client = self.client_to_pull(reference)
        found = self._manifest(reference, platform or Platform.of_this_machine())
        return open_image(
            found.data,
            lambda descriptor: client.open_blob(reference.repository, descriptor),
            media_type=found.media_type,
        )

    def _manifest(self, reference: Reference, platform: Platform | None) -> RemoteManifest:
        client = self.client_to_pull(reference)
        wanted = str(reference.digest) if reference.digest else reference.tag or "latest"
        for _ in range(_NESTED_INDEXES):
            found = client.manifest(reference.repository, wanted)
            is_list = is_index(found.media_type, parse_document(found.data, f"the manifest of {reference}"))
            if platform is None or not is_list:
                return found
            wanted = str(choose_manifest(parse_index(found.data), platform, str(reference)).digest)
        raise UntrustedInputError(f"{reference} has indexes inside indexes, more than {_NESTED_INDEXES} deep")

    def _client(self, registry: str) -> RegistryClient:
        with self._lock:
            if registry not in self._clients:
                self._clients[registry] = RegistryClient(
                    registry, self._keychain, emit=self._emit, retry=self._retry, environment=self._environment
                )
            return self._clients[registry]
