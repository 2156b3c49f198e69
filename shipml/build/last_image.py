"""Registry → what a build takes from it: images that are bases, layers that were left there, the last image's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from shipml.azure.session import AzureSession
from shipml.errors import (
    CancelledError,
    NotAllowedError,
    ShipmlError,
    StoreError,
    TryAgainError,
)
from shipml.events import Emit, Notice
from shipml.facts.project import Lock
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import KEY, KIND, LAYER_GZIP_MEDIA_TYPE, NATIVE, Descriptor, Platform
from shipml.oci.reference import Reference
from shipml.registry.keychain import ChainKeychain, DockerKeychain, Keychain
from shipml.store import Store
from shipml.store.layers import BASE_LAYER_FACT, LAYER_FACT
from shipml.wheels.facts import facts_of_text

if TYPE_CHECKING:
    from shipml.registry.remote import Registries
    from shipml.registry.transport import RetryPolicy

__all__ = ["LastImage", "Puller"]

_HEX_64 = re.compile(r"[0-9a-f]{64}")
_DEBIAN_KINDS = ("base", "system")
_TAGS_TRIED = 1
"""Of those that the registry lists, where neither the wanted tags nor `latest` are there."""
_ATTEMPTS, _TIMEOUT_SECONDS = 2, 10.0
"""At a registry that is asked for what can be made here, too."""


@dataclass(frozen=True, slots=True)
class LastImage:
    """What the last image in a repository says of its layers. It is that repository's word: see `Store.borrowing`."""

    reference: Reference | None = None
    """None: there is no such image."""
    facts: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """By kind of fact and key of the layer: digest, diff id and sizes."""
    digests: frozenset[Digest] = frozenset()
    """Of all its layers."""

    def bound_by(self, lock: Lock, emit: Emit) -> LastImage:
        """What `lock` lets it say: where the lock names layers, of these alone.

        What it says of wheels stays, for the annotations that the image gets; such a lock's plan does not use it.
        """
        if not lock.layers:
            return self
        named = {one.key: one for one in lock.layers}
        facts: dict[tuple[str, str], Mapping[str, Any]] = {}
        for (kind, key), said in self.facts.items():
            one = named.get(key)
            if kind not in (LAYER_FACT, BASE_LAYER_FACT) or (
                one is not None and said == _layer_fact(one.digest, one.diff_id, one.size_bytes)
            ):
                facts[kind, key] = said
            elif one is not None:
                text = f"{self.reference} has another {one.kind} layer than {lock.source} names, so it is made here"
                emit(Notice(text, "warning"))
        return replace(self, facts=facts)

    def is_here(self, image: Image, store: Store) -> bool:
        """Whether none of the layers that an image took from this one is in the registry alone."""
        taken = [layer for layer in image.layers if layer.digest in self.digests]
        return all(store.has_blob(layer.digest, layer.size_bytes) for layer in taken)

    def advice(self, *, load: bool, check: bool) -> str:
        """What was left undone, since it would fetch the layers; `load`, `check`: whether it would have been done."""
        undone = " or ".join(
            [*(["loaded into an engine"] if load else []), *(["imported for a test"] if check else [])]
        )
        later = f", and so nothing is {undone}; shipml run fetches them" if undone else ""
        return f"layers of {self.reference} are taken as they are, and stay in the registry{later}"


class Puller:
    """Pulls with the user's own credentials; raises ShipmlError, as its class says.

    SHIPML_USERNAME and SHIPML_PASSWORD go to registries that `trust` was told of only; for images that are bases even
    there only when the user's credentials are refused.
    """

    def __init__(self, emit: Emit, azure: AzureSession | None = None) -> None:
        """`azure` is who we are to Azure's registries where docker's files have nothing for them."""
        self.retry: RetryPolicy | None = None
        """How patient it is with a base's registry; None: as usual."""
        self._emit = emit
        self._azure = azure or AzureSession(emit=emit)
        self._clients: dict[bool, Registries] = {}
        self._destination = ""
        self._down: dict[str, TryAgainError] = {}

    def trust(self, references: Iterable[Reference]) -> None:
        """The registry of the first is where the user pushes to: what is meant for pushing may be used to read there.

        Of others, such as those of --cache-from, it is not known that the two variables are for them.
        """
        self._destination = next((reference.registry for reference in references), "")

    def open_image(self, reference: Reference, platform: Platform) -> Image:
        """The image of a registry, for a platform; its layers are fetched when they are opened."""
        if reference.registry in self._down:  # one long wait a command is enough
            raise self._down[reference.registry]
        try:
            return self._registries().open_image(reference, platform)
        except TryAgainError as error:
            self._down[reference.registry] = error
            raise
        except NotAllowedError:
            if reference.registry != self._destination:
                raise
            return self._registries(pushing=True).open_image(reference, platform)

    def open_blob(self, repository: str, descriptor: Descriptor) -> BinaryIO:
        """The bytes of a blob of `registry/repository`; see `store.remote.OpenRemote`."""
        from shipml.registry.errors import NotFoundError

        reference = Reference.parse(repository)
        pushing = reference.registry == self._destination
        try:
            client = self._registries(pushing=pushing).client_to_pull(reference)
            return client.open_blob(reference.repository, descriptor)
        except NotFoundError as error:
            raise StoreError(f"{repository} does not have {descriptor.digest} any more") from error

    def last_image(self, references: Sequence[Reference], platform: Platform, store: Store) -> LastImage:
        """The last image of the first repository among `references` that has one for `platform`.

        A registry that cannot be asked is a notice: all that it would say can be made here. Where the layers lie is
        noted in the store; what is said of their keys counts for who borrows it only.
        """
        for reference in dict.fromkeys(reference.with_tag("latest") for reference in references):
            tags = [one.tag for one in references if one.tag and one.name == reference.name]
            try:
                found = self._last_of(reference, tags, platform)
            except ShipmlError as error:
                if isinstance(error, CancelledError):
                    raise
                self._emit(Notice(f"cannot reuse layers of {reference.name}: {error.message}", "warning"))
                continue
            if found is not None:
                return _said_by(*found, store)
        return LastImage()

    def _last_of(
        self, repository: Reference, tags: Sequence[str], platform: Platform
    ) -> tuple[Reference, Image] | None:
        from shipml.registry.errors import NotFoundError
        from shipml.registry.remote import Registries
        from shipml.registry.transport import RetryPolicy

        registries = Registries(
            self._keychain(), self._emit, retry=RetryPolicy(attempts=_ATTEMPTS, timeout_seconds=_TIMEOUT_SECONDS)
        )
        for tag in dict.fromkeys([*tags, "latest"]):
            with suppress(NotFoundError):
                reference = repository.with_tag(tag)
                return reference, registries.open_image(reference, platform)
        with suppress(NotFoundError):
            listed = registries.client_to_pull(repository).tags(repository.repository)
            for tag in sorted(listed)[-_TAGS_TRIED:]:
                reference = repository.with_tag(tag)
                return reference, registries.open_image(reference, platform)
        return None

    def _registries(self, *, pushing: bool = False) -> Registries:
        if pushing not in self._clients:
            from shipml.registry.remote import Registries

            self._clients[pushing] = Registries(self._keychain(with_environment=pushing), self._emit, retry=self.retry)
        return self._clients[pushing]

    def _keychain(self, *, with_environment: bool = True) -> Keychain:
        docker = DockerKeychain(
            with_environment=with_environment and bool(self._destination),
            environment_for=self._destination,
            emit=self._emit,
        )
        return ChainKeychain(docker, self._azure.keychain(required=False))


def _said_by(reference: Reference, image: Image, store: Store) -> LastImage:
    facts: dict[tuple[str, str], Mapping[str, Any]] = {}
    for layer in image.layers:
        store.note_remote(layer.digest, f"{reference.registry}/{reference.repository}")
        facts |= facts_of_text(layer.annotations.get(NATIVE, ""))
        key, kind = layer.annotations.get(KEY, ""), layer.annotations.get(KIND, "")
        if _HEX_64.fullmatch(key) and layer.media_type == LAYER_GZIP_MEDIA_TYPE:
            facts[BASE_LAYER_FACT if kind in _DEBIAN_KINDS else LAYER_FACT, key] = _layer_fact(
                layer.digest, layer.diff_id, layer.size_bytes
            )
    return LastImage(reference, facts, frozenset(layer.digest for layer in image.layers))


def _layer_fact(digest: Digest, diff_id: Digest, size_bytes: int) -> Mapping[str, Any]:
    return {"digest": str(digest), "diff_id": str(diff_id), "size_bytes": size_bytes}
