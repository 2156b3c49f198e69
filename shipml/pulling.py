"""Registry → what a build takes from it: images that are bases, and layers that were left there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from shipml.errors import NotAllowedError, StoreError
from shipml.events import Emit
from shipml.oci.image import Image
from shipml.oci.manifest import Descriptor, Platform
from shipml.oci.reference import Reference

if TYPE_CHECKING:
    from shipml.registries.remote import Registries

__all__ = ["Puller"]


class Puller:
    """Pulls with the user's own credentials; raises ShipmlError, as its class says.

    SHIPML_USERNAME and SHIPML_PASSWORD go to the registries of `destinations` only, and there only when the user's
    credentials are refused.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._clients: dict[bool, Registries] = {}
        self._destinations: set[str] = set()

    def trust(self, references: Iterable[Reference]) -> None:
        """These are where the user pushes to: what is meant for pushing may be used to read there, too."""
        self._destinations |= {reference.registry for reference in references}

    def open_image(self, reference: Reference, platform: Platform) -> Image:
        """The image of a registry, for a platform; its layers are fetched when they are opened."""
        try:
            return self._registries().open_image(reference, platform)
        except NotAllowedError:
            if reference.registry not in self._destinations:
                raise
            return self._registries(pushing=True).open_image(reference, platform)

    def open_blob(self, repository: str, descriptor: Descriptor) -> BinaryIO:
        """The bytes of a blob of `registry/repository`; see `store.remote.OpenRemote`."""
        from shipml.registries.refusals import NotFoundError  # noqa: PLC0415  (late: brings HTTP along)

        reference = Reference.parse(repository)
        pushing = reference.registry in self._destinations
        try:
            client = self._registries(pushing=pushing).client_to_pull(reference)
            return client.open_blob(reference.repository, descriptor)
        except NotFoundError as error:
            raise StoreError(f"{repository} does not have {descriptor.digest} any more") from error

    def _registries(self, *, pushing: bool = False) -> Registries:
        if pushing not in self._clients:
            from shipml.registries.keychain import DockerKeychain  # noqa: PLC0415
            from shipml.registries.remote import Registries  # noqa: PLC0415  (late: brings HTTP along)

            self._clients[pushing] = Registries(DockerKeychain(with_environment=pushing), self._emit)
        return self._clients[pushing]
